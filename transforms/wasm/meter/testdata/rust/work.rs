// Work with the standard library of Rust: allocation, hashing, sorting, formatting, panics. See build.sh.
use std::collections::{BTreeMap, HashMap};

fn text(n: u32) -> String {
    let mut seed = n;
    (0..n)
        .map(|_| {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            b" abcdefgh"[(seed >> 24) as usize % 9] as char
        })
        .collect()
}

fn sum(s: &str) -> u64 {
    s.bytes().fold(14695981039346656037, |h, b| (h ^ b as u64).wrapping_mul(1099511628211))
}

#[no_mangle]
pub extern "C" fn words(n: u32) -> u64 {
    let text = text(n);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for w in text.split_whitespace() {
        *counts.entry(w).or_default() += 1;
    }
    let mut list: Vec<_> = counts.into_iter().collect();
    list.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    sum(&format!("{:?}", list))
}

#[no_mangle]
pub extern "C" fn floats(n: u32) -> u64 {
    let mut map: HashMap<u32, f64, std::hash::BuildHasherDefault<std::collections::hash_map::DefaultHasher>> = HashMap::default();
    for i in 0..n {
        *map.entry(i % 37).or_insert(0.5) += (i as f64).sqrt() / 3.0;
    }
    let mut all: Vec<_> = map.into_iter().collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    sum(&all.iter().map(|(k, v)| format!("{k}={v:.6};")).collect::<String>())
}

#[no_mangle]
pub extern "C" fn dynamic(n: u32) -> u64 {
    let steps: Vec<Box<dyn Fn(u64) -> u64>> =
        vec![Box::new(|x| x.rotate_left(7)), Box::new(move |x| x.wrapping_mul(n as u64 | 1)), Box::new(|x| x ^ (x >> 29))];
    (0..n as usize).fold(1, |x, i| steps[i % steps.len()](x).wrapping_add(1))
}

#[no_mangle]
pub extern "C" fn panics(n: u32) -> u64 {
    let v: Vec<u32> = (0..n).collect();
    v[(n as usize * 7) % (v.len() + 1)] as u64
}
