//! Pages of other sites: their browsers ask whether they may, and whether they may read the answer.

use crate::support::client::{http, post};
use crate::support::{Setup, World};

const APP: &str = "https://app.example";
const EVE: &str = "https://eve.example";

fn worlds(origins: &[&'static str]) -> impl Iterator<Item = World> {
    Setup::each(move |setup| setup.origins = origins.to_vec())
}

#[test]
fn a_page_of_a_listed_site_may_read_all_answers() {
    for mut world in worlds(&[APP]) {
        let feed = world.dial();
        world.ask(feed, &http("GET", "/events", &[("Origin", APP)]));
        let opened = world.client(feed).opened.clone().unwrap();
        let poll = world.dial();
        world.ask(poll, &http("GET", "/poll/a?timeout_s=0", &[("Origin", APP)]));
        world.advance(200);
        let refused = world.dial();
        world.ask(refused, &http("GET", "/events?room=", &[("Origin", APP)]));
        let body = r#"{"type":"ping"}"#;
        let length = body.len().to_string();
        let send = world.dial();
        let headers = [("Origin", APP), ("Content-Length", &length[..])];
        let mut request = http("POST", &format!("/sessions/{}/send", "ab".repeat(16)), &headers);
        request.extend_from_slice(body.as_bytes());
        world.ask(send, &request);
        for answer in [opened, world.answer(poll), world.last_answer(refused), world.answer(send)] {
            assert_eq!(answer.header("Access-Control-Allow-Origin"), Some(APP), "{answer:?}");
            assert_eq!(answer.header("Vary"), Some("Origin"));
            assert!(answer.header("Access-Control-Expose-Headers").unwrap().contains("Tidings-Node"));
        }
    }
}

#[test]
fn a_page_of_another_site_may_not() {
    for (origins, asked) in [(&[APP][..], Some(EVE)), (&[APP], None), (&[], Some(APP))] {
        for mut world in worlds(origins) {
            let poll = world.dial();
            let headers: Vec<_> = asked.map(|origin| ("Origin", origin)).into_iter().collect();
            world.ask(poll, &http("GET", "/poll/a?timeout_s=0", &headers));
            world.advance(200);
            assert_eq!(world.answer(poll).header("Access-Control-Allow-Origin"), None);
        }
    }
}

#[test]
fn a_browser_that_asks_first_is_answered_and_goes_on_on_the_same_connection() {
    for mut world in worlds(&["*"]) {
        let client = world.dial();
        let path = format!("/sessions/{}/send", "ab".repeat(16));
        let headers = [("Origin", EVE), ("Access-Control-Request-Method", "POST")];
        world.ask(client, &http("OPTIONS", &path, &headers));
        let answer = world.answer(client);
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
        assert!(answer.header("Access-Control-Allow-Methods").unwrap().contains("POST"));
        assert!(answer.header("Access-Control-Allow-Headers").unwrap().contains("Content-Type"));
        world.ask(client, &post(&path, r#"{"type":"ping"}"#));
        assert_eq!(world.answer(client).status, 404);
    }
}

#[test]
fn a_browser_that_may_not_is_not_told_that_it_may() {
    for mut world in worlds(&[APP]) {
        let client = world.dial();
        let headers = [("Origin", EVE), ("Access-Control-Request-Method", "GET")];
        world.ask(client, &http("OPTIONS", "/events", &headers));
        let answer = world.answer(client);
        assert_eq!((answer.status, answer.header("Allow")), (204, Some("GET, OPTIONS")));
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("Access-Control")), "{answer:?}");
    }
}
