//! Password hashes: argon2id, a bounded number at once. Those that came from another shop may be bcrypt's: they are checked as
//! they are, and give way to argon2id once the password is known.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{Error, phc::PasswordHash},
};
use kernel::{Failure, Result, code};
use tokio::sync::Semaphore;

use crate::config::PasswordConfig;

/// In the place of a hash: no password is the right one.
pub(crate) const NONE: &str = "!";

/// Whether a hash is bcrypt's, in its modular crypt format.
pub(crate) fn is_bcrypt(stored: &str) -> bool {
    ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| stored.starts_with(prefix))
}

/// Hashes and checks passwords on blocking threads.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    /// Checked where there is no account, so that it takes as long as where there is one.
    dummy: String,
}

impl Passwords {
    /// Fails when argon2 does not accept the parameters.
    pub(crate) fn new(config: &PasswordConfig) -> Result<Self> {
        let params = Params::new(config.memory_kib, config.passes, config.lanes, None)
            .map_err(|error| Failure::invalid("account.password", error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = hash(&argon2, &rand::random::<[u8; 16]>())?;
        Ok(Self {
            argon2,
            running: Arc::new(Semaphore::new(config.at_once)),
            queue: Arc::new(Semaphore::new(config.at_once + config.waiting)),
            dummy,
        })
    }

    /// The hash of `password` as a PHC string.
    pub(crate) async fn hash(&self, password: &str) -> Result<String> {
        let (argon2, password) = (self.argon2.clone(), password.to_owned());
        self.run(move || hash(&argon2, password.as_bytes())).await
    }

    /// Whether `password` is the one behind `stored`. Without a stored hash the answer is no, after as much work.
    pub(crate) async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool> {
        let stored = stored.filter(|stored| *stored != NONE);
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.dummy).to_owned();
        let (argon2, password) = (self.argon2.clone(), password.to_owned());
        let same = self
            .run(move || {
                if is_bcrypt(&stored) {
                    // A hash that is damaged fits no password.
                    return Ok(bcrypt::verify(password.as_bytes(), &stored).unwrap_or(false));
                }
                let stored =
                    PasswordHash::new(&stored).map_err(|error| Failure::internal(error.to_string()))?;
                match argon2.verify_password(password.as_bytes(), &stored) {
                    Ok(()) => Ok(true),
                    Err(Error::PasswordInvalid) => Ok(false),
                    Err(error) => Err(Failure::internal(error.to_string())),
                }
            })
            .await?;
        Ok(same && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let full = |_| Failure::new(code::UNAVAILABLE).detail("too many log-ins are waiting").retry_after(1);
        let _place = Arc::clone(&self.queue).try_acquire_owned().map_err(full)?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(Failure::internal)?;
        tokio::task::spawn_blocking(move || {
            // The turn ends with the work, also when the caller goes away.
            let _turn = turn;
            work()
        })
        .await
        .map_err(Failure::internal)?
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<String> {
    let hash: PasswordHash =
        argon2.hash_password(password).map_err(|error| Failure::internal(error.to_string()))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap(waiting: usize) -> Passwords {
        Passwords::new(&PasswordConfig { memory_kib: 8, passes: 1, lanes: 1, at_once: 1, waiting }).unwrap()
    }

    #[tokio::test]
    async fn knows_the_password_it_hashed() {
        let passwords = cheap(10);
        let stored = passwords.hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert!(passwords.verify("correct horse", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("correct house", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("correct horse", None).await.unwrap());
    }

    #[tokio::test]
    async fn knows_a_password_that_bcrypt_hashed() {
        let passwords = cheap(10);
        let stored = bcrypt::hash("correct horse", 4).unwrap();
        assert!(is_bcrypt(&stored) && !is_bcrypt(&passwords.dummy));
        assert!(passwords.verify("correct horse", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("correct house", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("x", Some("$2b$04$damaged")).await.unwrap());
        assert!(!passwords.verify(NONE, Some(NONE)).await.unwrap(), "no password fits where there is none");
    }

    #[tokio::test]
    async fn refuses_when_too_many_wait() {
        let passwords = Arc::new(cheap(0));
        let turn = Arc::clone(&passwords.running).acquire_owned().await.unwrap();
        let waiting = passwords.hash("one");
        futures::pin_mut!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(passwords.hash("two").await.unwrap_err().is(code::UNAVAILABLE));
        drop(turn);
        waiting.await.unwrap();
    }
}
