//! When the next attempt is: doubled each time, with jitter that is the same for the same object.

use jiff::{SignedDuration, Timestamp};

/// The first delay.
const FIRST: SignedDuration = SignedDuration::from_secs(10);
/// The longest delay where the table of policies names none.
pub const LIMIT: SignedDuration = SignedDuration::from_mins(15);
/// The longest delay after failures whose cause lies outside.
pub const LIMIT_OUTSIDE: SignedDuration = SignedDuration::from_hours(6);
/// The longest delay where a right is missing: whoever gives it does not want to wait, and nobody tells when it is given.
pub const LIMIT_RIGHTS: SignedDuration = SignedDuration::from_mins(5);

/// The moment of the next attempt after `failures` in a row.
///
/// A tenth of jitter from the object's uid spreads releases that failed together without making two plans of the same
/// snapshot differ.
pub fn next(now: Timestamp, failures: u32, limit: SignedDuration, uid: &str) -> Timestamp {
    let doubled = 2_i32.saturating_pow(failures.saturating_sub(1).min(16));
    let delay = FIRST.checked_mul(doubled).unwrap_or(limit).min(limit);
    // FNV-1a: stable over builds, which the standard library's hash is not promised to be.
    let hash = uid
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let jitter = delay.as_millis() / 10 * i128::from(hash % 1000) / 1000;
    let delay = delay.saturating_add(SignedDuration::from_millis(i64::try_from(jitter).unwrap_or(0)));
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit_and_keep_a_tenth_of_jitter() {
        let now = Timestamp::UNIX_EPOCH;
        let mut last = SignedDuration::ZERO;
        for failures in 1..40 {
            let delay = next(now, failures, LIMIT, "uid").duration_since(now);
            assert!(delay >= last && delay <= LIMIT + LIMIT / 10, "{failures}: {delay}");
            last = delay;
        }
        assert_eq!(next(now, 1, LIMIT, "uid"), next(now, 1, LIMIT, "uid"));
        assert!(next(now, 1, LIMIT, "uid").duration_since(now) >= FIRST);
    }
}
