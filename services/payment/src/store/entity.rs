//! Rows.
#![allow(
    unreachable_pub,
    reason = "the derives of sea-orm want public types; the modules keep them inside the crate"
)]

/// What is to be paid for one order.
pub(crate) mod intent {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payment_intent")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub number: String,
        pub order_id: Uuid,
        pub order_number: String,
        pub user_id: Uuid,
        pub channel: String,
        pub state: String,
        pub amount: i64,
        pub currency: String,
        /// What the provider has.
        pub captured: i64,
        /// What was asked back or went back.
        pub refunded: i64,
        /// What went back.
        pub refunded_done: i64,
        /// How many attempts there were.
        pub attempts: i32,
        /// The attempt that paid; the latest one while none did.
        pub attempt_id: Uuid,
        pub provider_number: Option<String>,
        pub reason: Option<String>,
        pub created_at: i64,
        pub updated_at: i64,
        pub paid_at: Option<i64>,
        pub expires_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// One try to pay over a channel.
pub(crate) mod attempt {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payment_attempt")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub intent_id: Uuid,
        /// Our number, which is the key the provider knows it by.
        pub number: String,
        pub channel: String,
        pub state: String,
        pub amount: i64,
        pub currency: String,
        pub captured: i64,
        pub captured_currency: Option<String>,
        pub provider_number: Option<String>,
        pub reason: Option<String>,
        pub created_at: i64,
        pub updated_at: i64,
        pub paid_at: Option<i64>,
        pub called_back_at: Option<i64>,
        /// When to ask the provider next, while it is pending.
        pub next_sync_at: i64,
        pub syncs: i32,
        /// The trace it was opened in: its order's. What the provider says later belongs there.
        pub trace: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Money on its way back.
pub(crate) mod refund {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "refund")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub intent_id: Uuid,
        pub attempt_id: Uuid,
        pub amount: i64,
        pub currency: String,
        pub state: String,
        pub reason: String,
        /// Paid twice, or a wrong amount before the payment began again: not part of what the order's payment refunds.
        pub surplus: bool,
        pub provider_number: Option<String>,
        pub created_at: i64,
        pub updated_at: i64,
        /// When to ask the provider next, while it is pending.
        pub next_at: i64,
        pub tries: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What was sent and what came: only ever inserted.
pub(crate) mod log {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payment_log")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub intent_id: Uuid,
        pub at: i64,
        pub direction: String,
        pub what: String,
        pub body: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
