//! The audit log: added to, and forgotten when its time is over. Names ids, never e-mails or secrets.

use contracts::{
    Ctx, Permission,
    account::{AuditView, ListAccounts},
    valid,
};
use kernel::{Cursors, Page, Result, Timestamp, page_limit};

use crate::{AccountService, store};

impl AccountService {
    /// The log, newest first; `q` is the subject: an account's id, a role's name.
    pub(crate) async fn read_audit(&self, ctx: &Ctx, query: ListAccounts) -> Result<Page<AuditView>> {
        ctx.require(Permission::AccountRead)?;
        valid(&query)?;
        let limit = page_limit(query.limit)?;
        let subject = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
        let cursors = Cursors::of("account.audit", &subject);
        let after = cursors.read(query.cursor.as_deref())?;
        let rows = store::audit(self.db.read(), subject, after, limit).await?;
        Ok(cursors.page(rows, limit, |row| (row.at, row.id)).map(|row| AuditView {
            at: Timestamp::from_micros(row.at),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
        }))
    }
}
