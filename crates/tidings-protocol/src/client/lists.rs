//! The two lists of a `hello`: rooms, and positions by room.
//!
//! Owned by the decoder. Refuses to hold more than a connection may use, however long the list is.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A list, or the fact that it was longer than it may be.
pub(crate) type Bounded<T> = Option<Vec<T>>;

/// Reads an array of strings, each kept once, in their order.
pub(crate) fn strings(json: &str, strings_max: usize) -> serde_json::Result<Bounded<String>> {
    serde_json::Deserializer::from_str(json).deserialize_seq(Strings { strings_max })
}

/// Reads an object of numbers, in its order, repeats included.
pub(crate) fn numbers(json: &str, numbers_max: usize) -> serde_json::Result<Bounded<(String, u64)>> {
    serde_json::Deserializer::from_str(json).deserialize_map(Numbers { numbers_max })
}

struct Strings {
    strings_max: usize,
}

impl<'de> Visitor<'de> for Strings {
    type Value = Bounded<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mut seen, mut strings) = (HashSet::new(), Vec::new());
        while let Some(string) = seq.next_element::<String>()? {
            if !seen.insert(string.clone()) {
                continue;
            }
            if strings.len() == self.strings_max {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            strings.push(string);
        }
        Ok(Some(strings))
    }
}

struct Numbers {
    numbers_max: usize,
}

impl<'de> Visitor<'de> for Numbers {
    type Value = Bounded<(String, u64)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut numbers = Vec::new();
        while let Some(entry) = map.next_entry::<String, u64>()? {
            if numbers.len() == self.numbers_max {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            numbers.push(entry);
        }
        Ok(Some(numbers))
    }
}
