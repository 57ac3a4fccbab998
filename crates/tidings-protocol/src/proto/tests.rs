//! The same frame in JSON and in protobuf means the same.

mod client_frames;
mod server_frames;

use prost::Message as _;

#[test]
fn reflection_tells_of_the_service() {
    let files = prost_types::FileDescriptorSet::decode(super::FILE_DESCRIPTOR_SET).unwrap();
    let [file] = &files.file[..] else { panic!("it is one file") };
    assert_eq!(file.package(), "tidings.v1");
    let [service] = &file.service[..] else { panic!("it has one service") };
    let methods: Vec<_> = service.method.iter().map(|method| method.name()).collect();
    assert_eq!(service.name(), "Tidings");
    assert_eq!(methods, ["Session", "Publish", "Subscribe", "History", "Presence"]);
}

#[test]
fn no_secret_is_shown_in_a_log() {
    let hello = super::v1::Hello {
        token: Some("secret".into()),
        session_id: Some("secret".into()),
        user_id: Some("ana".into()),
        ..Default::default()
    };
    let shown = format!("{hello:?}");
    assert!(shown.contains("ana") && !shown.contains("secret"), "{shown}");
}
