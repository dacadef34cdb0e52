use super::*;

fn raw<'a>(json: &'a str, path: &str) -> Option<&'a str> {
    get(json.as_bytes(), path).map(|v| std::str::from_utf8(v.raw()).unwrap())
}

#[test]
fn values_are_found_by_paths() {
    let json = r#" {"a": [1, {"b" : "x,}"}, -2.5e3 ], "ключ":null, "d":{"e":{}}} "#;
    for (path, want) in [
        ("", Some(json.trim())),
        ("a.0", Some("1")),
        ("a.1.b", Some(r#""x,}""#)),
        ("a.2", Some("-2.5e3")),
        ("a.3", None),
        ("a.01", None),
        ("a.b", None),
        ("ключ", Some("null")),
        ("d.e", Some("{}")),
        ("d.e.f", None),
        ("x", None),
        (".", None),
    ] {
        assert_eq!(raw(json, path), want, "{}", path);
    }
    assert_eq!(raw(r#"{"a":1,"\u0061":2}"#, "a"), Some("2"));
}

#[test]
fn what_ends_too_early_has_no_values() {
    let json = r#"{"a":{"b":[1,"x\"",true]},"c":1}"#;
    for end in 0..json.len() {
        assert_eq!(raw(&json[..end], "c"), None, "{}", &json[..end]);
        assert_eq!(set(json[..end].as_bytes(), "d", "1"), None);
    }
    for json in ["", "}", ",", "{,}", "[1 2]", r#"{"a" 1}"#, r#"{a:1}"#, "\"", "\"\\"] {
        assert_eq!(raw(json, "a"), None, "{}", json);
    }
}

#[test]
fn values_have_types() {
    let value = |json: &'static str| Value(json.as_bytes());
    assert_eq!(value(r#""a\n\u00e4\ud83d\ude00\udc00""#).string().unwrap(), "a\nä😀\u{fffd}");
    assert!(matches!(value("\"plain\"").string(), Some(Cow::Borrowed("plain"))));
    assert_eq!(Value(b"\"\xff\"").string().unwrap(), "\u{fffd}");
    for json in ["1", "\"", "\"x", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\\"", ""] {
        assert_eq!(value(json).string(), None, "{}", json);
    }
    assert_eq!(value("-9223372036854775808").i64(), Some(i64::MIN));
    for json in ["9223372036854775808", "1.0", "01", "+1", "", "-", "1x"] {
        assert_eq!(value(json).i64(), None, "{}", json);
    }
    assert_eq!(value("-0.1e+2").f64(), Some(-10.0));
    for json in ["1.", ".5", "1.e3", "01", "+1", "inf", "NaN", "-", "1e", "0x1", "1_0", "1e400"] {
        assert_eq!(value(json).f64(), None, "{}", json);
    }
    assert_eq!((value("true").bool(), value("false").bool(), value("1").bool()), (Some(true), Some(false), None));
    assert!(value("null").is_null() && !value("0").is_null());
}

#[test]
fn values_are_replaced_and_added() {
    for (json, path, want) in [
        (r#"{"a":1, "b":2}"#, "a", Some(r#"{"a":"x", "b":2}"#)),
        (r#"{"a":[1,2]}"#, "a.1", Some(r#"{"a":[1,"x"]}"#)),
        (r#"{"a":{ } }"#, "a.b", Some(r#"{"a":{"b":"x" } }"#)),
        (r#" {"a":1 } "#, "q\"", Some(r#" {"a":1,"q\"":"x" } "#)),
        ("1", "", Some("\"x\"")),
        ("1", "a", None),
        ("[1]", "1", None),
        (r#"{"a":1}"#, "a.b", None),
        (r#"{"a":1}"#, "b.c", None),
    ] {
        let got = set(json.as_bytes(), path, "\"x\"").map(|b| String::from_utf8(b).unwrap());
        assert_eq!(got.as_deref(), want, "{} {}", json, path);
    }
}

#[test]
fn text_is_quoted() {
    let mut out = Vec::new();
    quote(&mut out, "a\"\\\n\r\t\u{1}ä");
    assert_eq!(out, "\"a\\\"\\\\\\n\\r\\t\\u0001ä\"".as_bytes());
    assert_eq!(Value(&out).string().unwrap(), "a\"\\\n\r\t\u{1}ä");
}
