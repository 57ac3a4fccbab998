//! Pages of other sites: which may read what the node answers (Fetch standard, CORS).
//!
//! Owned by whoever read the settings; shards and control plane ask it. Refuses what no browser
//! sends as an origin, because it would silently match nothing.

/// Who may read answers besides pages that the node's own address serves. Nobody, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    all: bool,
    listed: Vec<Box<str>>,
}

/// Why a text is no origin. Holds the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no origin: write scheme://host or scheme://host:port without a path, or * for all")]
pub struct OriginError(pub String);

impl Origins {
    /// Those listed; `*` allows all.
    ///
    /// # Errors
    /// The first text that is no origin.
    pub fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, OriginError> {
        let mut origins = Self::default();
        for text in texts {
            match text.as_ref() {
                "*" => origins.all = true,
                text if is_origin(text) => origins.listed.push(text.to_ascii_lowercase().into()),
                text => return Err(OriginError(text.to_owned())),
            }
        }
        Ok(origins)
    }

    /// What `Access-Control-Allow-Origin` says to a page of this origin; `None` leaves it out.
    pub fn allowed(&self, origin: &str) -> Option<&str> {
        if self.all {
            return Some("*");
        }
        self.listed.iter().map(|listed| &**listed).find(|listed| *listed == origin)
    }
}

fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
            && rest.bytes().all(in_host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_are_allowed() {
        let origins = Origins::new(["https://App.example", "http://localhost:3000"]).unwrap();
        assert_eq!(origins.allowed("https://app.example"), Some("https://app.example"));
        assert_eq!(origins.allowed("http://localhost:3000"), Some("http://localhost:3000"));
        for other in ["http://app.example", "https://app.example.evil", "http://localhost", "null", ""] {
            assert_eq!(origins.allowed(other), None, "{other}");
        }
        assert_eq!(Origins::default().allowed("https://app.example"), None);
    }

    #[test]
    fn a_star_allows_all() {
        let origins = Origins::new(["https://app.example", "*"]).unwrap();
        assert_eq!(origins.allowed("https://other.example"), Some("*"));
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in ["", "app.example", "https://app.example/", "https://", "://x", "https://a b", "null"] {
            assert_eq!(Origins::new([text]), Err(OriginError(text.to_owned())));
        }
    }
}
