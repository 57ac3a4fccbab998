//! Percent encoding, and the parameters behind a `?`.

use std::borrow::Cow;

use tidings_protocol::ErrorCode;

use super::refusal::Refused;

/// The parameters of an address, in their order, not yet decoded.
#[derive(Debug, Clone)]
pub(super) struct Query<'a>(Vec<(&'a str, &'a str)>);

/// About what an address has.
const PARAMETERS: usize = 8;

impl<'a> Query<'a> {
    /// Takes apart what stands behind the `?`.
    pub(super) fn new(text: &'a str) -> Self {
        let mut pairs = Vec::new();
        if !text.is_empty() {
            pairs.reserve_exact(PARAMETERS);
            pairs.extend(text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))));
        }
        Self(pairs)
    }

    /// Every value of a parameter, decoded; what cannot be decoded is refused with the code.
    pub(super) fn all(
        &self,
        name: &str,
        code: ErrorCode,
    ) -> impl Iterator<Item = Result<Cow<'a, str>, Refused>> {
        let named = self.0.iter().filter(move |(known, _)| *known == name);
        named.map(move |&(_, value)| match value.contains('+') {
            // Forms write a space as a plus sign.
            true => decode(&value.replace('+', " "), code).map(|decoded| decoded.into_owned().into()),
            false => decode(value, code),
        })
    }

    /// A parameter's first value.
    pub(super) fn first(&self, name: &str, code: ErrorCode) -> Result<Option<Cow<'a, str>>, Refused> {
        self.all(name, code).next().transpose()
    }

    /// A parameter that is a whole number.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Refused> {
        let Some(text) = self.first(name, ErrorCode::BadQuery)? else { return Ok(None) };
        let refused =
            || Refused::because(ErrorCode::BadQuery, format!("{name} is no whole number: give digits only."));
        text.parse().map(Some).map_err(|_| refused())
    }
}

/// Undoes percent encoding (RFC 3986 §2.1).
pub(super) fn decode(text: &str, code: ErrorCode) -> Result<Cow<'_, str>, Refused> {
    if !text.contains('%') {
        return Ok(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| tail.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(Refused::new(code)) };
        bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte"));
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map(Cow::from).map_err(|_| Refused::new(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_may_come_more_than_once_and_in_any_spelling() {
        let query = Query::new("a=1&b=x+y%2B&a=%C3%B8&c&=d");
        let all = |name| query.all(name, ErrorCode::BadQuery).map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(all("a"), ["1", "ø"]);
        assert_eq!(all("b"), ["x y+"]);
        assert_eq!(all("c"), [""]);
        assert!(all("d").is_empty());
        assert_eq!(query.number("a").unwrap(), Some(1));
        assert_eq!(query.number("c").unwrap_err().code, ErrorCode::BadQuery);
    }
}
