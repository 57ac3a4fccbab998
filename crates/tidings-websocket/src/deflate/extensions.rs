//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1): offers in order, each a name and its parameters.
//! Used by the negotiation. Refuses what the grammar does not allow; says nothing about what the names mean.

use thiserror::Error;

use crate::handshake::tokens::is_token;

/// A `Sec-WebSocket-Extensions` header that does not follow the grammar; the handshake must fail (RFC 6455 §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Sec-WebSocket-Extensions is malformed; see RFC 6455, section 9.1")]
pub struct Malformed;

/// One extension with its parameters, as written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    pub(crate) name: &'a str,
    /// Names with values; quotes are already removed.
    pub(crate) parameters: Vec<(&'a str, Option<String>)>,
}

/// The extensions of one header value, in order. Empty list elements are skipped, as for any HTTP list.
pub(crate) fn parse(value: &[u8]) -> Result<Vec<Extension<'_>>, Malformed> {
    let value = std::str::from_utf8(value).map_err(|_| Malformed)?;
    split_outside_quotes(value, ',')?.into_iter().filter(|part| !part.is_empty()).map(parse_one).collect()
}

fn parse_one(text: &str) -> Result<Extension<'_>, Malformed> {
    let mut parts = split_outside_quotes(text, ';')?.into_iter();
    let name = parts.next().filter(|name| is_token(name)).ok_or(Malformed)?;
    Ok(Extension { name, parameters: parts.map(parse_parameter).collect::<Result<_, _>>()? })
}

fn parse_parameter(text: &str) -> Result<(&str, Option<String>), Malformed> {
    let Some((name, value)) = text.split_once('=') else {
        return if is_token(text) { Ok((text, None)) } else { Err(Malformed) };
    };
    let (name, value) = (name.trim_end_matches([' ', '\t']), value.trim_start_matches([' ', '\t']));
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted.strip_suffix('"').ok_or(Malformed)?),
        None => value.to_owned(),
    };
    // Quoted or not, the value itself must be a token.
    if is_token(name) && is_token(&value) { Ok((name, Some(value))) } else { Err(Malformed) }
}

fn unquote(text: &str) -> String {
    let mut characters = text.chars();
    let mut out = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        out.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    out
}

/// The parts between `separator`, without surrounding blanks; a quote that never ends is malformed.
fn split_outside_quotes(text: &str, separator: char) -> Result<Vec<&str>, Malformed> {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut parts = Vec::new();
    for (index, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted && character == '\\' {
            escaped = true;
        } else if character == '"' {
            quoted = !quoted;
        } else if character == separator && !quoted {
            parts.push(text[start..index].trim_matches([' ', '\t']));
            start = index + 1;
        }
    }
    parts.push(text[start..].trim_matches([' ', '\t']));
    if quoted { Err(Malformed) } else { Ok(parts) }
}
