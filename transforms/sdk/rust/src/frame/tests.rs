use super::*;
use crate::Attr;

/// A frame that the codec in Go has written, as hexdump -C shows it.
fn golden(dump: &str) -> Vec<u8> {
    let bytes = dump.lines().flat_map(|line| line.split('|').next().unwrap().split_whitespace().skip(1));
    bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn le(n: usize) -> [u8; 4] {
    (n as u32).to_le_bytes()
}

/// An INPUT frame of records with data, key and attribute block.
fn frame(records: &[(&[u8], &[u8], &[u8])]) -> Vec<u8> {
    let mut f = b"LTX1\x01\x00\x20\x00".to_vec();
    f.extend(le(records.len()));
    f.resize(HEADER + RECORD * records.len(), 0);
    for (i, (data, key, attrs)) in records.iter().enumerate() {
        let e = HEADER + RECORD * i;
        f[e] = i as u8 + 1;
        for (k, field) in [data, key, attrs].iter().enumerate() {
            let at = f.len();
            f.extend_from_slice(field);
            f[e + 16 + 8 * k..][..4].copy_from_slice(&le(at));
            f[e + 20 + 8 * k..][..4].copy_from_slice(&le(field.len()));
        }
    }
    let len = f.len();
    f[24..28].copy_from_slice(&le(len));
    f
}

const ATTRS: &[u8] = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0nv1e";

#[test]
fn records_are_decoded() {
    let f = frame(&[(b"data", b"key", ATTRS), (b"", b"", b"")]);
    let input = Input::new(&f).unwrap();
    let r = input.record(0).unwrap();
    assert_eq!((input.len(), r.data, r.key, r.seq), (2, &b"data"[..], &b"key"[..], 1));
    let attrs: Vec<Attr> = r.attrs.iter().collect();
    assert_eq!(attrs, [Attr { name: b"n", value: b"v1" }, Attr { name: b"e", value: b"" }]);
    assert_eq!((r.attrs.get("n"), r.attrs.get("x"), r.attrs.len()), (Some(&b"v1"[..]), None, 2));
    assert!(input.record(1).unwrap().attrs.is_empty());
}

#[test]
fn frames_that_break_the_rules_are_refused() {
    let good = frame(&[(b"data", b"key", ATTRS)]);
    let refused = |f: &[u8]| Input::new(f).and_then(|input| input.record(0)).is_none();
    assert!(!refused(&good));
    for end in 0..good.len() {
        let mut f = good[..end].to_vec();
        assert!(refused(&f), "cut after {} bytes", end);
        if end >= HEADER {
            f[24..28].copy_from_slice(&le(end)); // which says so
            assert!(refused(&f), "a frame of {} bytes", end);
        }
    }
    for (at, what) in [(0, "magic"), (4, "version"), (6, "header"), (8, "count"), (24, "length"), (19, "data"), (31, "key"), (37, "attributes")] {
        for byte in [0x7f, 0xff] {
            let mut f = good.clone();
            f[if at >= 19 && at != 24 { HEADER + at } else { at }] = byte;
            assert!(refused(&f), "{} with {}", what, byte);
        }
    }
}

#[test]
fn results_are_as_the_specification_says() {
    let record: (&[u8], &[u8], &[u8]) = (b"data", b"key", b"");
    let f = frame(&[record; 6]);
    let input = Input::new(&f).unwrap();
    let part = &input.record(3).unwrap().data[1..3];
    let mut w = Writer::new();
    for _ in 0..2 {
        w.reset(input.len());
        for outcome in [
            Outcome::Keep,
            Outcome::Drop,
            Outcome::fail("a.code", "why"),
            Outcome::data(part),
            Outcome::emit([Out::data("x").key("k").no_attrs(), Out::keep().partition("p", "1")]),
            Outcome::emit([Out::data("fine"), Out::keep().attr("n".repeat(1 << 16), "")]),
        ] {
            w.result(&input, &outcome);
        }
    }
    let out = w.finish();
    assert_eq!((&out[..8], u32_at(out, 8), u32_at(out, 12), out.as_ptr() as usize % 8), (&b"LTR1\x01\x00\x20\x00"[..], 6, 3, 0));
    let statuses: Vec<_> =
        (0..6).map(|i| (out[HEADER + RESULT * i], u32_at(out, HEADER + RESULT * i + 4), u32_at(out, HEADER + RESULT * i + 8))).collect();
    assert_eq!(statuses, [(1, 0, 0), (2, 0, 0), (3, 0, 0), (0, 0, 1), (0, 1, 2), (3, 3, 0)]);
    let text = |at: usize, len: u64| std::str::from_utf8(&out[u32_at(out, at) as usize..][..len as usize]).unwrap();
    let failed = HEADER + RESULT * 2;
    assert_eq!((text(failed + 12, u16_at(out, failed + 16)), text(failed + 20, u16_at(out, failed + 18))), ("a.code", "why"));
    assert_eq!(text(HEADER + RESULT * 5 + 12, u16_at(out, HEADER + RESULT * 5 + 16)), BAD_RESULT);
    let outs = u32_at(out, 20) as usize;
    assert_eq!((outs % 8, out.len() - outs), (0, 3 * OUT));
    assert_eq!((u32_at(out, outs), &f[u32_at(out, outs + 8) as usize..][..2]), (7, &b"at"[..]), "a part of the input is not copied");
    assert_eq!((u32_at(out, outs + OUT), u32_at(out, outs + OUT + 4), text(outs + OUT + 8, 1), text(outs + OUT + 16, 1)), (0, 4, "x", "k"));
}

#[test]
fn what_go_has_encoded_is_decoded() {
    let f = golden(include_str!("../../../../wasm/abi/testdata/input.hex"));
    let input = Input::new(&f).unwrap();
    assert_eq!(input.len(), 3);
    let [one, second, last] = [0, 1, 2].map(|i| input.record(i).unwrap());
    assert_eq!((one.data, one.key, one.seq, one.shard, one.sub, one.attrs.len()), (&b"one"[..], &b"key-1"[..], 1, 3, 0, 0));
    assert_eq!((second.data, second.key, second.arrived, second.sub), (&b"the second"[..], &b""[..], -5, 7));
    let attrs: Vec<_> = second.attrs.iter().map(|a| [a.name, a.value].map(|b| std::str::from_utf8(b).unwrap())).collect();
    assert_eq!(attrs, [["a", "1"], ["", ""], ["long name", "ü"]]);
    assert_eq!((last.data, last.key, last.seq), (&b""[..], &b"k"[..], u64::MAX));
}
