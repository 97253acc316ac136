//! Lists with an end. A file of some megabytes may be a list of millions, which would take many
//! times that in memory.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// Messages, or what stands in their places, in one conversation. Fewer of them may be stored.
pub(super) const NODES: usize = 50_000;
/// Parts of one message.
pub(super) const PARTS: usize = 1_000;

/// Null is an empty list.
pub(super) fn list<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(Items::<T, MOST>(PhantomData))
}

/// An object as a list, in the order in which it is written.
pub(super) fn entries<'de, D, T, const MOST: usize>(
    deserializer: D,
) -> Result<Vec<(String, T)>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_map(Entries::<T, MOST>(PhantomData))
}

struct Items<T, const MOST: usize>(PhantomData<T>);
struct Entries<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Items<T, MOST> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
            not_over::<A::Error>(items.len(), MOST)?;
        }
        Ok(items)
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Entries<T, MOST> {
    type Value = Vec<(String, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
            not_over::<A::Error>(entries.len(), MOST)?;
        }
        Ok(entries)
    }
}

fn not_over<E: Error>(count: usize, most: usize) -> Result<(), E> {
    if count > most { Err(E::custom(format!("has more than {most} entries"))) } else { Ok(()) }
}
