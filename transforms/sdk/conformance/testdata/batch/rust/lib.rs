//! Says of each record which one of how many it is, and keeps every third.

use leat::{Outcome, Record};

fn number<'a>(records: &'a [Record<'a>]) -> Vec<Outcome<'a>> {
    let one = |(i, r): (usize, &Record<'a>)| match i % 3 {
        _ if r.data == b"boom" => panic!("boom"),
        2 => Outcome::Keep,
        _ => Outcome::data(format!("{} of {}: {}", i, records.len(), r.text().unwrap())),
    };
    records.iter().enumerate().map(one).collect()
}

leat::batch!(number);
leat::describe!("{\"name\":\"batch\"}");
