//! From a schema to a file that reads as people write one.

use serde::ser::{Serialize, SerializeMap, Serializer};
use syncline_core::schema::{Collection, Field, Schema, SchemaWord};

/// The format in which a schema is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people, with a comment that says what it is
    Yaml,
    /// For programs
    Json,
}

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Detail {
    /// Policies where they are not the default.
    Short,
    /// Every policy of every field, so that applying the file brings back all of it.
    Full,
}

/// A schema that cannot be written: a fault of this program.
#[derive(Debug, thiserror::Error)]
#[error("the schema cannot be written: {0}")]
pub struct PrintError(String);

/// The text of a schema file; `about` becomes a comment where the format has comments.
pub(in crate::cli) fn print(
    schema: &Schema,
    format: Format,
    detail: Detail,
    about: &str,
) -> Result<String, PrintError> {
    let file = FileSchema { schema, detail };
    match format {
        Format::Yaml => {
            let text = serde_saphyr::to_string(&file).map_err(|error| PrintError(error.to_string()))?;
            Ok(format!("# {about}\n{text}"))
        }
        Format::Json => {
            let mut text =
                serde_json::to_string_pretty(&file).map_err(|error| PrintError(error.to_string()))?;
            text.push('\n');
            Ok(text)
        }
    }
}

struct FileSchema<'s> {
    schema: &'s Schema,
    detail: Detail,
}

impl Serialize for FileSchema<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Schema { strict, version: _, collections, unknown: _ } = self.schema;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("strict", strict)?;
        let files = collections
            .iter()
            .map(|(id, collection)| (&**id, FileCollection { collection, detail: self.detail }));
        map.serialize_entry("collections", &Entries(files))?;
        map.end()
    }
}

struct FileCollection<'s> {
    collection: &'s Collection,
    detail: Detail,
}

impl Serialize for FileCollection<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.collection.fields.iter();
        let files = fields.map(|(id, field)| (&**id, FileField { field, detail: self.detail }));
        Entries(files).serialize(serializer)
    }
}

struct FileField<'s> {
    field: &'s Field,
    detail: Detail,
}

impl Serialize for FileField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Field { kind, provisional, on_clash, on_dominate, unknown: _ } = self.field;
        let default = Field::of(*kind);
        let full = self.detail == Detail::Full;
        let entries = [
            Some(("kind", kind.word())),
            (full || *provisional != default.provisional).then(|| ("provisional", provisional.word())),
            (full || *on_clash != default.on_clash).then(|| ("on_clash", on_clash.word())),
            (full || *on_dominate != default.on_dominate).then(|| ("on_dominate", on_dominate.word())),
        ];
        let entries = entries.into_iter().flatten();
        if entries.clone().count() == 1 {
            return serializer.serialize_str(kind.word());
        }
        serde_saphyr::FlowMap(Entries(entries)).serialize(serializer)
    }
}

/// Entries of a map in their order.
struct Entries<I>(I);

impl<'k, I, V> Serialize for Entries<I>
where
    I: Iterator<Item = (&'k str, V)> + Clone,
    V: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.clone().count()))?;
        for (key, value) in self.0.clone() {
            map.serialize_entry(key, &value)?;
        }
        map.end()
    }
}
