//! `file:` URIs and paths.

use crate::source::without_detours;
use lsp_types::Uri;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The path of a `file:` URI; any other URI, such as that of an unsaved text, is its own path.
pub fn to_path(uri: &Uri) -> PathBuf {
    let text = uri.as_str();
    let Some(rest) = text.strip_prefix("file://") else { return PathBuf::from(text) };
    // What stands before the next slash is a host: this one.
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let decoded = decoded(path);
    let drive = cfg!(windows) && decoded.as_bytes().get(2) == Some(&b':');
    without_detours(Path::new(if drive { &decoded[1..] } else { &decoded }))
}

/// The URI of a path; `None` for one that cannot be said in a URI.
pub fn from_path(path: &Path) -> Option<Uri> {
    let absolute = std::path::absolute(path).ok()?;
    let text = absolute.to_str()?.replace('\\', if cfg!(windows) { "/" } else { "\\" });
    let mut uri = String::from(if text.starts_with('/') { "file://" } else { "file:///" });
    for byte in text.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(byte as char),
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    Uri::from_str(&uri).ok()
}

/// The text behind `%20` and the like; what is no such thing stays.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let number = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match number.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_the_way_there_and_back() {
        for path in ["/tmp/a b/é%20.reft", "/x+y/[z].reft"] {
            assert_eq!(to_path(&from_path(Path::new(path)).unwrap()), Path::new(path));
        }
        let uri = |text: &str| Uri::from_str(text).unwrap();
        assert_eq!(to_path(&uri("file://localhost/tmp/a%20b.reft")), Path::new("/tmp/a b.reft"));
        assert_eq!(to_path(&uri("file:///tmp/x/.././a.reft")), Path::new("/tmp/a.reft"));
        assert_eq!(to_path(&uri("untitled:Untitled-1")), Path::new("untitled:Untitled-1"));
    }
}
