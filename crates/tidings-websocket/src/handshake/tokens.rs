//! Tokens and comma lists as HTTP headers spell them (RFC 9110 §5.6).
//! Used by the handshakes and the extension grammar. Pure; refuses nothing, only answers.

/// Whether `text` is an HTTP token: one or more of the allowed visible ASCII characters.
pub(crate) fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// The values of all headers called `name`, in order.
pub(crate) fn values<'a, H>(headers: H, name: &'static str) -> impl Iterator<Item = &'a [u8]>
where
    H: Iterator<Item = (&'a str, &'a [u8])>,
{
    headers.filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The elements of a comma list without blanks; empty ones are skipped.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether any header called `name` lists `token`, in any case.
pub(crate) fn lists_token<'a, H>(headers: H, name: &'static str, token: &str) -> bool
where
    H: Iterator<Item = (&'a str, &'a [u8])>,
{
    values(headers, name).flat_map(elements).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The one value of the header called `name`, without blanks around it; `None` when it is missing or repeated.
pub(crate) fn single<'a, H>(headers: H, name: &'static str) -> Option<&'a [u8]>
where
    H: Iterator<Item = (&'a str, &'a [u8])>,
{
    let mut found = values(headers, name);
    let value = found.next()?;
    found.next().is_none().then(|| value.trim_ascii())
}

/// Appends `name: value` and the line's end. Control characters in either become blanks, so that no value can end its
/// line and begin another.
pub(crate) fn push_header(out: &mut Vec<u8>, name: &str, value: &str) {
    let clean = |byte: u8| if byte.is_ascii_control() && byte != b'\t' { b' ' } else { byte };
    out.extend(name.bytes().map(clean));
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(clean));
    out.extend_from_slice(b"\r\n");
}
