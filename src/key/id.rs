//! Names for new keys.

use super::format::push_random;
use super::{GenerateError, KeyId};

/// 22 characters of base62 hold 130 bits: no two are ever the same.
const LENGTH: usize = 22;

impl KeyId {
    /// A new name, `key_` and 22 characters from the operating system's random numbers: whoever sees
    /// one learns neither how many keys there are nor when it was made.
    ///
    /// ```
    /// let id = keygate::KeyId::random()?;
    /// assert!(id.as_str().starts_with("key_") && id.as_str().len() == 26);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the system's generator fails.
    pub fn random() -> Result<Self, GenerateError> {
        let mut text = String::from("key_");
        push_random(&mut text, LENGTH)?;
        Ok(Self::new(text))
    }
}
