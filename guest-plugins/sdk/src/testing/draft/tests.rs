#![allow(clippy::unwrap_used)]
use super::*;

fn refused(draft: &Draft) -> String {
    check(draft).unwrap_err().to_string()
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

/// E1
#[test]
fn nesting_limit_obeyed_and_violated() {
    assert_eq!(check(&Draft::raw_json("x", nested(128))), Ok(()));
    assert_eq!(
        refused(&Draft::raw_json("x", nested(129))),
        "publish: the data is JSON nested more than 128 deep (events.max-json-depth)"
    );
    let text = format!(r#"{{"a":"\"{}"}}"#, "[".repeat(1000));
    assert_eq!(check(&Draft::raw_json("x", text)), Ok(()));
    assert_eq!(check(&Draft::bytes("x", "text/plain", nested(129))), Ok(()));
}

/// H21
#[test]
fn what_says_json_has_to_be_json() {
    for json in [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "text/json",
        "application/a.b+Json ;x=y",
    ] {
        assert_eq!(check(&Draft::bytes("x", json, "[1]")), Ok(()));
        for data in [&b"{"[..], b"", b"\"\xff\""] {
            let text = refused(&Draft::bytes("x", json, data));
            assert!(
                text.starts_with(&format!("publish: data of content type `{json}` is not JSON: ")),
                "{text}"
            );
        }
    }
    for other in ["text/plain", "json", "application/json+xml", "text/plain; a=/json"] {
        assert_eq!(check(&Draft::bytes("x", other, "{")), Ok(()), "{other}");
    }
    assert_eq!(check(&Draft::new("x")), Ok(()));
    assert_eq!(
        refused(&Draft::bytes("x", "", "{")),
        "publish: `datacontenttype` is empty; it has at least one character"
    );
}

/// B10
#[test]
fn names_of_metadata_obeyed_and_violated() {
    for name in ["a", "0", "tenant7", &"n".repeat(64)] {
        assert_eq!(check(&Draft::new("x").metadata(name, "")), Ok(()));
    }
    for name in HOST_OWNED {
        assert_eq!(
            refused(&Draft::new("x").metadata(name, "1")),
            format!("publish: the host sets `{name}` itself; leave it out of the metadata")
        );
    }
    for name in ["", "Upper", "with-dash", "ä", &"n".repeat(65)] {
        assert!(refused(&Draft::new("x").metadata(name, "1")).contains("is no name for metadata"));
    }
    assert_eq!(
        refused(&Draft::new("x").metadata("a", "1").metadata("b", "1").metadata("a", "1")),
        "publish: the event has `a` more than once"
    );
}
