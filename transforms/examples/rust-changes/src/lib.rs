//! Keeps a reading only if it differs from the last one of its sensor, which is the partition key: most sensors say the same thing over and over.
//!
//! The config names the field that counts, by a path such as `reading.value`, and how many sensors are remembered:
//!
//! ```yaml
//! config: { field: reading.value, sensors: 10000 }
//! ```

use leat::{json, Failure, Outcome, Record, Transform};
use std::collections::HashMap;

struct Changes {
    field: String,
    sensors: usize,
    last: HashMap<Vec<u8>, Vec<u8>>,
}

impl Transform for Changes {
    fn new(config: &str) -> Result<Self, String> {
        let config = config.as_bytes();
        let field = json::get(config, "field").and_then(|v| v.string()).filter(|f| !f.is_empty()).ok_or("field: name the field that counts")?;
        let sensors = match json::get(config, "sensors") {
            None => 10_000,
            Some(n) => n.i64().filter(|n| (1..=100_000).contains(n)).ok_or("sensors: it must be a number from 1 to 100000")? as usize,
        };
        Ok(Changes { field: field.into_owned(), sensors, last: HashMap::new() })
    }

    fn each<'a>(&'a mut self, record: &Record<'a>) -> leat::Result<'a> {
        let value = json::get(record.data, &self.field)
            .ok_or_else(|| Failure::new("changes.no_value", format!("there is no {} in the reading", self.field)))?;
        if let Some(last) = self.last.get_mut(record.key) {
            if last == value.raw() {
                leat::count("unchanged", 1);
                return Ok(Outcome::Drop);
            }
            last.clear();
            last.extend_from_slice(value.raw());
            return Ok(Outcome::Keep);
        }
        if self.last.len() == self.sensors {
            self.last.clear(); // memory is bounded; the worst that happens is one reading too many of each
        }
        self.last.insert(record.key.to_vec(), value.raw().to_vec());
        Ok(Outcome::Keep)
    }
}

leat::transform!(Changes);

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(changes: &mut Changes, key: &'static str, data: &str) -> bool {
        let record = Record { key: key.as_bytes(), ..Record::new(data) };
        let kept = matches!(changes.each(&record), Ok(Outcome::Keep));
        kept
    }

    #[test]
    fn each_sensor_has_a_last_value_of_its_own() {
        let mut changes = Changes::new(r#"{"field":"v"}"#).unwrap();
        assert!(kept(&mut changes, "a", r#"{"v":1}"#));
        assert!(kept(&mut changes, "b", r#"{"v":1}"#));
        assert!(!kept(&mut changes, "a", r#"{"v":1,"at":2}"#));
        assert!(kept(&mut changes, "a", r#"{"v":2}"#));
        assert!(kept(&mut changes, "a", r#"{"v":1}"#));
    }

    #[test]
    fn no_more_sensors_are_remembered_than_the_config_says() {
        let mut changes = Changes::new(r#"{"field":"v","sensors":2}"#).unwrap();
        for key in ["a", "b", "c", "d"] {
            assert!(kept(&mut changes, key, r#"{"v":1}"#));
            assert!(changes.last.len() <= 2);
        }
    }

    #[test]
    fn a_config_that_is_no_good_is_refused() {
        for config in ["null", "{}", r#"{"field":""}"#, r#"{"field":"v","sensors":0}"#, r#"{"field":"v","sensors":"x"}"#] {
            assert!(Changes::new(config).is_err(), "{}", config);
        }
    }
}
