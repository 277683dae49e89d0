//! Typed ids: a [TypeID](https://github.com/jetify-com/typeid/tree/main/spec) whose last ten bits are its shard.

use std::{
    any::type_name,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};
use uuid::Uuid;

use crate::{Shard, shard::MAX_SHARDS};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX: usize = 26;

/// What an id names; implemented by marker types, declared with [`crate::id_kinds!`].
pub trait Kind: Send + Sync + 'static {
    /// The prefix before the underscore, such as `ord`.
    const PREFIX: &'static str;
}

/// The id of a `K`: `ord_01j…`. A UUID (version 7 when minted, 8 when derived) whose last ten bits are the shard.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

/// Why a text is no id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Another prefix than the kind's.
    #[error("expected an id that starts with {0}_")]
    Prefix(&'static str),
    /// Not 26 characters of the TypeID alphabet.
    #[error("expected 26 characters 0-9a-z (without i, l, o, u) after the underscore")]
    Suffix,
}

impl<K: Kind> Id<K> {
    /// The id with these bytes.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// Its bytes, as the database keeps them.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The shard it carries.
    pub fn shard(self) -> Shard {
        shard_of(self.0)
    }

    /// The id that follows from `parts` alone: the same parts give the same id in every process and region, so that an
    /// effect that runs twice writes the same row. Parts are length-prefixed before hashing (SHA-256).
    pub fn derive(shard: Shard, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(K::PREFIX.as_bytes());
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self::from_uuid(with_shard(uuid::Builder::from_custom_bytes(bytes).into_uuid(), shard))
    }
}

/// The shard in the last ten bits.
pub(crate) fn shard_of(uuid: Uuid) -> Shard {
    let bytes = uuid.as_bytes();
    Shard::new(u16::from_be_bytes([bytes[14], bytes[15]]) % MAX_SHARDS)
}

/// `uuid` with its last ten bits replaced by the shard.
pub(crate) fn with_shard(uuid: Uuid, shard: Shard) -> Uuid {
    let low = u128::from(MAX_SHARDS - 1);
    Uuid::from_u128((uuid.as_u128() & !low) | u128::from(shard.number()))
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0.as_u128();
        let mut suffix = [b'0'; SUFFIX];
        for place in suffix.iter_mut().rev() {
            *place = ALPHABET[usize::try_from(value & 31).unwrap_or(0)];
            value >>= 5;
        }
        write!(f, "{}_", K::PREFIX)?;
        suffix.iter().try_for_each(|&c| fmt::Write::write_char(f, char::from(c)))
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let suffix = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or(IdError::Prefix(K::PREFIX))?;
        // 26 characters hold 130 bits: the first may only be 0 to 7.
        if suffix.len() != SUFFIX || suffix.as_bytes()[0] > b'7' {
            return Err(IdError::Suffix);
        }
        let mut value: u128 = 0;
        for c in suffix.bytes() {
            let digit = ALPHABET.iter().position(|&a| a == c).ok_or(IdError::Suffix)?;
            value = (value << 5) | digit as u128;
        }
        Ok(Self::from_uuid(Uuid::from_u128(value)))
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<K: Kind> PartialSchema for Id<K> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX)))
            .into()
    }
}

impl<K: Kind> ToSchema for Id<K> {
    fn name() -> std::borrow::Cow<'static, str> {
        type_name::<K>().rsplit("::").next().unwrap_or(K::PREFIX).to_owned().into()
    }
}

/// Declares kinds and their ids: `id_kinds! { /// An order. OrderId, Order = "ord"; }`.
#[macro_export]
macro_rules! id_kinds {
    ($($(#[$doc:meta])* $alias:ident, $kind:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $kind;
        impl $crate::Kind for $kind {
            const PREFIX: &'static str = $prefix;
        }
        $(#[$doc])*
        pub type $alias = $crate::Id<$kind>;
    )*};
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Thing;
    impl Kind for Thing {
        const PREFIX: &'static str = "thing";
    }

    #[test]
    fn follows_the_typeid_specification() {
        // Valid vectors of the specification (spec/valid.yml): "max-valid" and "some-uuid", with our prefix.
        let max: Id<Thing> = "thing_7zzzzzzzzzzzzzzzzzzzzzzzzz".parse().unwrap();
        assert_eq!(max.uuid(), Uuid::max());
        let one: Id<Thing> = "thing_00000000000000000000000001".parse().unwrap();
        assert_eq!(one.uuid().as_u128(), 1);
        assert_eq!("thing_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<Id<Thing>>(), Err(IdError::Suffix));
        assert_eq!("other_00000000000000000000000001".parse::<Id<Thing>>(), Err(IdError::Prefix("thing")));
        assert_eq!("thing_0000000000000000000000000l".parse::<Id<Thing>>(), Err(IdError::Suffix));
    }

    #[test]
    fn derived_ids_do_not_run_parts_together() {
        let shard = Shard::new(3);
        assert_ne!(Id::<Thing>::derive(shard, &[b"ab", b"c"]), Id::<Thing>::derive(shard, &[b"a", b"bc"]));
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(value: u128) {
            let id = Id::<Thing>::from_uuid(Uuid::from_u128(value));
            prop_assert_eq!(id.to_string().parse::<Id<Thing>>().unwrap(), id);
        }

        #[test]
        fn carries_its_shard(number in 0..MAX_SHARDS, part: Vec<u8>) {
            prop_assert_eq!(Id::<Thing>::derive(Shard::new(number), &[&part]).shard().number(), number);
        }
    }
}
