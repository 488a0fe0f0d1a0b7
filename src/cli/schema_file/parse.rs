//! From a file to an update of a schema. Every key is checked where it stands, so that a message names its place.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use syncline_core::ids::is_name;
use syncline_core::schema::{CollectionUpdate, FieldUpdate, SchemaUpdate, SchemaWord};

use super::hint::hint;

const TOP_KEYS: [&str; 3] = ["strict", "collections", "$schema"];
const FIELD_KEYS: [&str; 4] = ["kind", "provisional", "on_clash", "on_dominate"];

/// What a whole file asks for.
pub(super) struct FileUpdate(pub SchemaUpdate);

impl<'de> Deserialize<'de> for FileUpdate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FileUpdate, D::Error> {
        deserializer.deserialize_any(FileVisitor).map(FileUpdate)
    }
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = SchemaUpdate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a schema: `strict: true` or `false`, and `collections:` by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SchemaUpdate, A::Error> {
        let mut update = SchemaUpdate::default();
        let mut keys = Keys::new("a schema file", &TOP_KEYS);
        while let Some(key) = map.next_key_seed(&mut keys)? {
            match key {
                "strict" => update.strict = Some(map.next_value()?),
                "collections" => update.collections = map.next_value_seed(Collections)?,
                // For editors.
                _ => drop(map.next_value::<String>()?),
            }
        }
        Ok(update)
    }
}

/// Collections by name; nothing at all counts as none.
struct Collections;

impl<'de> DeserializeSeed<'de> for Collections {
    type Value = BTreeMap<syncline_core::ids::CollectionId, CollectionUpdate>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Collections {
    type Value = BTreeMap<syncline_core::ids::CollectionId, CollectionUpdate>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("collections by name, each with its fields")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut collections = BTreeMap::new();
        while let Some(name) = map.next_key_seed(Name { of: "collection", within: "" })? {
            if collections.contains_key(name.as_str()) {
                return Err(de::Error::custom(format!("the collection `{name}` stands here twice")));
            }
            let fields = map.next_value_seed(Fields { collection: &name })?;
            collections.insert(name.as_str().into(), CollectionUpdate { fields });
        }
        Ok(collections)
    }
}

/// A collection's fields by name; nothing at all counts as none.
struct Fields<'f> {
    collection: &'f str,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = BTreeMap<syncline_core::ids::FieldId, FieldUpdate>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = BTreeMap<syncline_core::ids::FieldId, FieldUpdate>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fields of `{}` by name, each with its kind", self.collection)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(name) = map.next_key_seed(Name { of: "field", within: self.collection })? {
            let place = format!("{}.{name}", self.collection);
            if fields.contains_key(name.as_str()) {
                return Err(de::Error::custom(format!("the field `{place}` stands here twice")));
            }
            let field = map.next_value_seed(FieldSeed { place: &place })?;
            fields.insert(name.as_str().into(), field);
        }
        Ok(fields)
    }
}

/// A field: its kind as a word, or a map with its kind and policies.
struct FieldSeed<'f> {
    place: &'f str,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = FieldUpdate;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<FieldUpdate, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = FieldUpdate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a kind for `{}`, as `register` or `{{ kind: register, on_clash: settle }}`", self.place)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<FieldUpdate, E> {
        word_of(self.place, word).map(FieldUpdate::of)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldUpdate, A::Error> {
        let place = self.place;
        let (mut kind, mut provisional, mut on_clash, mut on_dominate) = (None, None, None, None);
        let about = format!("the field `{place}`");
        let mut keys = Keys::new(&about, &FIELD_KEYS);
        while let Some(key) = map.next_key_seed(&mut keys)? {
            match key {
                "kind" => kind = Some(map.next_value_seed(WordSeed::new(place))?),
                "provisional" => provisional = Some(map.next_value_seed(WordSeed::new(place))?),
                "on_clash" => on_clash = Some(map.next_value_seed(WordSeed::new(place))?),
                _ => on_dominate = Some(map.next_value_seed(WordSeed::new(place))?),
            }
        }
        let kind = kind
            .ok_or_else(|| de::Error::custom(format!("the field `{place}` has no `kind`; it needs one")))?;
        Ok(FieldUpdate { kind, provisional, on_clash, on_dominate })
    }
}

/// One of the words of a schema.
struct WordSeed<'f, W> {
    place: &'f str,
    word: std::marker::PhantomData<W>,
}

impl<'f, W> WordSeed<'f, W> {
    fn new(place: &'f str) -> WordSeed<'f, W> {
        WordSeed { place, word: std::marker::PhantomData }
    }
}

impl<'de, W: SchemaWord> DeserializeSeed<'de> for WordSeed<'_, W> {
    type Value = W;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<W, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<W: SchemaWord> Visitor<'_> for WordSeed<'_, W> {
    type Value = W;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} for `{}`, as `{}`", W::WHAT, self.place, W::ALL.first().map_or("", |w| w.word()))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<W, E> {
        word_of(self.place, word)
    }
}

fn word_of<W: SchemaWord, E: de::Error>(place: &str, word: &str) -> Result<W, E> {
    W::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = W::ALL.iter().map(|value| value.word()).collect();
        E::custom(format!("`{place}`: there is no {} `{word}`; {}", W::WHAT, hint(word, &words)))
    })
}

/// The keys of a map that has certain keys, each at most once.
struct Keys<'k> {
    about: &'k str,
    allowed: &'static [&'static str],
    seen: Vec<&'static str>,
}

impl<'k> Keys<'k> {
    fn new(about: &'k str, allowed: &'static [&'static str]) -> Keys<'k> {
        Keys { about, allowed, seen: Vec::new() }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Keys<'_> {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut Keys<'_> {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key of {}", self.about)
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<&'static str, E> {
        let about = self.about;
        let Some(known) = self.allowed.iter().copied().find(|known| *known == key) else {
            return Err(E::custom(format!("{about} has no key `{key}`; {}", hint(key, self.allowed))));
        };
        if self.seen.contains(&known) {
            return Err(E::custom(format!("{about} has the key `{key}` twice")));
        }
        self.seen.push(known);
        Ok(known)
    }
}

/// The name of a collection or a field.
struct Name<'n> {
    of: &'static str,
    /// The collection that a field belongs to.
    within: &'n str,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a {}", self.of)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<String, E> {
        if is_name(name) {
            return Ok(name.to_owned());
        }
        let within = if self.within.is_empty() { String::new() } else { format!(" of `{}`", self.within) };
        let of = self.of;
        Err(E::custom(format!("`{name}` cannot be a {of}{within}: names are 1 to 64 of A-Z a-z 0-9 _ -")))
    }
}
