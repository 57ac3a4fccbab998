//! The fields of a frame as they came: one pass over the text, nothing interpreted yet, because
//! what a field must be depends on `type`, which may come last.
//!
//! Owned by the decoder. Refuses nothing but text that is no JSON object.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::client::FrameError;
use crate::client::checks::{self, bad_frame};
use crate::ids::MessageId;
use crate::limits::Limits;

macro_rules! fields {
    ($($field:ident => $name:literal,)*) => {
        /// Every field that some frame has, as raw JSON.
        #[derive(Debug, Default)]
        pub(crate) struct Fields<'a> {
            $(pub(crate) $field: Field<'a>,)*
            /// A field that was given twice.
            duplicate: Option<&'static str>,
        }

        impl<'a> Fields<'a> {
            const fn new() -> Self {
                Self { $($field: Field { name: $name, value: None },)* duplicate: None }
            }

            fn of(&mut self, name: Name) -> &mut Field<'a> {
                match name { $(Name::$field => &mut self.$field,)* Name::other => unreachable!("skipped by the reader") }
            }
        }

        #[expect(non_camel_case_types, reason = "variants are the names of fields")]
        #[derive(Deserialize)]
        #[serde(field_identifier)]
        enum Name { $(#[serde(rename = $name)] $field,)* #[serde(other)] other }
    };
}

fields! {
    kind => "type",
    room => "room",
    text => "text",
    data => "data",
    key => "key",
    reference => "ref",
    last_message_id => "last_message_id",
    after => "after",
    limit => "limit",
    token => "token",
    user_id => "user_id",
    rooms => "rooms",
    session_id => "session_id",
    attempt => "attempt",
    positions => "positions",
}

/// One field: its name and what it holds. `null` is the same as left out, except in `data`.
#[derive(Debug, Default)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'static str,
    value: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    /// Reads the fields; `None` if the text is not one JSON object.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        // Plain chat is told apart by its first character, without an error being made.
        if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let fields = reader.deserialize_map(Reader).ok()?;
        reader.end().ok()?;
        Some(fields)
    }

    /// The frame's type, or what is taken for it; `None` if there is neither.
    pub(crate) fn kind_or(&self, default: Option<&'static str>) -> Option<Result<Cow<'a, str>, FrameError>> {
        if self.kind.value.is_none() {
            return default.map(|kind| self.no_duplicate().map(|()| kind.into()));
        }
        Some(self.no_duplicate().and_then(|()| self.kind.required_string()))
    }

    /// The `ref` for an `error`, where it is fit to be sent back.
    pub(crate) fn usable_reference(&self, limits: &Limits) -> Option<String> {
        self.reference.short_string(limits).ok().flatten().map(Cow::into_owned)
    }

    fn no_duplicate(&self) -> Result<(), FrameError> {
        match self.duplicate {
            None => Ok(()),
            Some(name) => Err(bad_frame(format!("field {name} is given twice: give it once"))),
        }
    }
}

impl<'a> Field<'a> {
    /// The raw JSON, `null` included.
    pub(crate) const fn raw(&self) -> Option<&'a RawValue> {
        self.value
    }

    /// The raw JSON, unless it is `null`.
    pub(crate) fn present(&self) -> Option<&'a str> {
        self.value.map(RawValue::get).filter(|&raw| raw != "null")
    }

    /// A string.
    pub(crate) fn string(&self) -> Result<Option<Cow<'a, str>>, FrameError> {
        let Some(raw) = self.present() else { return Ok(None) };
        let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
        match inner {
            // The reader has checked the string already; without escapes it stands as it is.
            Some(inner) if !inner.contains('\\') => Ok(Some(inner.into())),
            _ => match serde_json::from_str::<String>(raw) {
                Ok(string) => Ok(Some(string.into())),
                Err(_) => Err(self.must_be("a string")),
            },
        }
    }

    /// A string that must be there.
    pub(crate) fn required_string(&self) -> Result<Cow<'a, str>, FrameError> {
        self.string()?.ok_or_else(|| self.must_be("a string"))
    }

    /// A string fit for `ref` and `key`.
    pub(crate) fn short_string(&self, limits: &Limits) -> Result<Option<Cow<'a, str>>, FrameError> {
        self.string()?.map(|string| checks::short_string(self.name, string, limits)).transpose()
    }

    /// A message id.
    pub(crate) fn position(&self) -> Result<Option<MessageId>, FrameError> {
        let Some(raw) = self.present() else { return Ok(None) };
        checks::position(self.name, serde_json::from_str(raw).ok()).map(Some)
    }

    /// A count.
    pub(crate) fn count(&self) -> Result<Option<usize>, FrameError> {
        Ok(self.number()?.map(|count| usize::try_from(count).unwrap_or(usize::MAX)))
    }

    /// A whole number.
    pub(crate) fn number(&self) -> Result<Option<u64>, FrameError> {
        let Some(raw) = self.present() else { return Ok(None) };
        serde_json::from_str(raw).map(Some).map_err(|_| self.must_be("a whole number"))
    }

    /// That this field is not what it has to be.
    pub(crate) fn must_be(&self, what: &str) -> FrameError {
        checks::must_be(self.name, what)
    }
}

struct Reader;

impl<'a> Visitor<'a> for Reader {
    type Value = Fields<'a>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Fields<'a>, A::Error> {
        let mut fields = Fields::new();
        while let Some(name) = map.next_key::<Name>()? {
            if matches!(name, Name::other) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value::<&'a RawValue>()?;
            let field = fields.of(name);
            let name = field.name;
            if field.value.replace(value).is_some() {
                fields.duplicate = Some(name);
            }
        }
        Ok(fields)
    }
}
