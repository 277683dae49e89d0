//! What the next page says about the form before it. The cookie names one of these, so that nobody can put words into
//! the shop's mouth.

macro_rules! flashes {
    ($($(#[$doc:meta])* $Flash:ident = $key:literal;)*) => {
        /// What the next page says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Flash {
            $($(#[$doc])* $Flash,)*
        }

        impl Flash {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$Flash),*];

            /// Its name in the cookie, which is its text's key.
            pub(crate) const fn key(self) -> &'static str {
                match self { $(Self::$Flash => $key,)* }
            }

            /// The one of this name.
            pub(crate) fn parse(name: &str) -> Option<Self> {
                match name { $($key => Some(Self::$Flash),)* _ => None }
            }
        }
    };
}

flashes! {
    /// Put into the cart.
    Added = "flash-added";
    /// Put into the cart, but not as many as wanted.
    AddedToLimit = "flash-added-to-limit";
    /// The cart changed.
    CartChanged = "flash-cart-changed";
    /// The cart changed, and prices in it have too.
    PricesChanged = "flash-prices-changed";
    /// Taken out of the cart.
    Removed = "flash-removed";
    /// Logged in.
    Welcome = "flash-welcome";
    /// Registered.
    Registered = "flash-registered";
    /// Logged out.
    Goodbye = "flash-goodbye";
    /// Profile saved.
    ProfileSaved = "flash-profile-saved";
    /// Address saved.
    AddressSaved = "flash-address-saved";
    /// Address removed.
    AddressRemoved = "flash-address-removed";
    /// The order stands, but its payment could not be opened.
    PayLater = "flash-pay-later";
    /// Order cancelled.
    OrderCancelled = "flash-order-cancelled";
    /// An operation on regions began.
    OperationBegun = "flash-operation-begun";
    /// An operation on regions was asked to end.
    AbortAsked = "flash-abort-asked";
}

impl Flash {
    /// Its name in the cookie.
    pub(crate) const fn name(self) -> &'static str {
        self.key()
    }
}
