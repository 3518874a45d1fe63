//! Scalars that cannot be wrong: a value of these types has been checked once, and nobody checks it again.
//!
//! This room knows nothing of Kubernetes clients, of helm processes or of the clock.

mod digest;
mod duration;
mod expression;
mod names;
mod range;
mod redacted;
mod version;

pub use digest::{ChartDigest, DigestError, ReleaseDigest};
pub use duration::{DURATION_PATTERN, Duration, DurationError};
pub use expression::{EXPRESSION_MAX_CHARS, EvaluationError, Expression, ExpressionError};
pub use names::{ChartName, NameError, Namespace, ObjectKey, RELEASE_NAME_MAX_CHARS, ReleaseKey, ReleaseName};
pub use range::{RangeError, VersionRange};
pub use redacted::Redacted;
pub use version::{VersionError, VersionRequest};
