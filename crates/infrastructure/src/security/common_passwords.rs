//! The passwords that are tried first.

use passwords::analyzer::is_common_password;
use repartee_application::ports::CommonPasswords;

/// The list of the `passwords` crate: some 100,000 from published leaks, among them the 10,000
/// most common.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommonPasswordList;

impl CommonPasswords for CommonPasswordList {
    fn contains(&self, password: &str) -> bool {
        // The list has some of them in capitals too; case is folded by who asks.
        is_common_password(password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_is_on_the_list() {
        for password in [
            "password",
            "password1",
            "password123",
            "passw0rd",
            "p@ssw0rd",
            "qwerty123",
            "1q2w3e4r",
            "abc12345",
            "abcd1234",
            "a1b2c3d4",
            "letmein1",
            "iloveyou1",
            "welcome1",
            "admin123",
            "trustno1",
            "1qaz2wsx",
            "test1234",
            "football1",
        ] {
            assert!(CommonPasswordList.contains(password), "{password}");
        }
    }

    #[test]
    fn what_nobody_would_guess_is_not() {
        for password in ["", "tr0ubadour", "correct horse battery staple 1", "Ключ12345", "\",\""]
        {
            assert!(!CommonPasswordList.contains(password), "{password}");
        }
    }
}
