//! Digests: of a chart archive, and of everything that helm is given for a release.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("{0:?} is not a SHA-256 digest of 64 hexadecimal digits")]
    NotSha256(String),
    #[error("{0:?} is not a release digest of the form vN-<hexadecimal digits>")]
    NotRelease(String),
}

/// SHA-256 of the bytes of a chart archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChartDigest([u8; 32]);

impl ChartDigest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From a hash that was fed while the bytes went by.
    pub fn finish(hash: Sha256) -> Self {
        Self(hash.finalize().into())
    }

    /// Accepts `sha256:<hex>` and bare hexadecimal digits; repositories publish both.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let wrong = || DigestError::NotSha256(text.chars().take(80).collect());
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }

    /// The 64 hexadecimal digits, without a prefix.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Display for ChartDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl TryFrom<String> for ChartDigest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        Self::parse(&text)
    }
}

impl From<ChartDigest> for String {
    fn from(digest: ChartDigest) -> Self {
        digest.to_string()
    }
}

/// Bytes of SHA-256 that a release digest keeps: 160 bits, so that prefix and digits fit the 63 characters of a label.
const RELEASE_DIGEST_BYTES: usize = 20;

/// Digest of everything that decides what helm writes: chart content, values, options.
///
/// The prefix names the formula. A new formula gets a new prefix, so that a digest made by an older operator is
/// recognised as made by another formula instead of being taken for another input.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseDigest(Box<str>);

impl ReleaseDigest {
    /// Formula 1: SHA-256 over the parts, each preceded by its length in bytes (8, big endian), so that no two lists
    /// of parts share a digest.
    pub fn v1(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        Self(format!("v1-{}", hex(&digest[..RELEASE_DIGEST_BYTES])).into())
    }

    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let wrong = || DigestError::NotRelease(text.chars().take(80).collect());
        let (formula, digits) = text.split_once('-').ok_or_else(wrong)?;
        let number = formula.strip_prefix('v').ok_or_else(wrong)?;
        let good = text.len() <= 63
            && number.parse::<u16>().is_ok()
            && !digits.is_empty()
            && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if good { Ok(Self(text.into())) } else { Err(wrong()) }
    }

    /// Whether [`Self::v1`] or a formula of an older operator made it.
    pub fn is_of_known_formula(&self) -> bool {
        self.0.starts_with("v1-")
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReleaseDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ReleaseDigest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        Self::parse(&text)
    }
}

impl From<ReleaseDigest> for String {
    fn from(digest: ReleaseDigest) -> Self {
        digest.0.into()
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_digest_fits_a_label_and_reads_back() {
        let digest = ReleaseDigest::v1(&[b"a", b"b"]);
        assert!(digest.as_str().len() <= 63);
        assert_eq!(ReleaseDigest::parse(digest.as_str()), Ok(digest));
    }

    #[test]
    fn release_digest_keeps_parts_apart() {
        assert_ne!(ReleaseDigest::v1(&[b"ab", b""]), ReleaseDigest::v1(&[b"a", b"b"]));
    }

    #[test]
    fn hexadecimal_digits_keep_zeros_and_are_lower_case() {
        assert_eq!(hex(&[0x00, 0x0a, 0xa0, 0xff]), "000aa0ff");
    }

    #[test]
    fn chart_digest_accepts_both_spellings() {
        let digest = ChartDigest::of(b"x");
        assert_eq!(ChartDigest::parse(&digest.hex()), Ok(digest));
        assert_eq!(ChartDigest::parse(&digest.to_string()), Ok(digest));
        assert!(ChartDigest::parse("sha256:zz").is_err());
    }
}
