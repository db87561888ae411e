//! SHA-256, as 64 lower-case hexadecimal digits: how reftc names contents.

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// The digest of bytes.
pub fn of(bytes: impl AsRef<[u8]>) -> String {
    hex(&self::bytes(bytes))
}

/// The digest of bytes, as bytes.
pub fn bytes(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The digest of all that is left to read.
///
/// # Errors
/// Whatever reading gives.
pub fn of_reader(reader: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
}

/// The canonical text of plain data: JSON without spaces, fields in their declared order.
pub fn json(value: &impl Serialize) -> String {
    // Plain data has no way to fail; should a type ever, its error must not be taken for another value's text.
    serde_json::to_string(value).unwrap_or_else(|error| format!("{}: {error}", std::any::type_name_of_val(value)))
}

/// Bytes as hexadecimal digits, two each.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn agrees_with_the_standard() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::of("abc"), expected);
        assert_eq!(super::of_reader(&mut &b"abc"[..]).unwrap(), expected);
    }
}
