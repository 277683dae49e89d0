//! `meridian staff`.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use contracts::account::CreateStaff;

use crate::{answer, cli::Staff, compose::Shop};

/// Opens or changes a staff account.
pub(crate) async fn run(shop: &Shop, command: &Staff) -> Result<()> {
    let Staff::Create { email, password_stdin, roles } = command;
    let password = if *password_stdin {
        let mut text = String::new();
        std::io::stdin().take(4_096).read_to_string(&mut text).context("cannot read the password")?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        let password = rpassword::prompt_password("Password: ").context("cannot read the password")?;
        ensure!(password == rpassword::prompt_password("Again: ")?, "the two passwords differ");
        password
    };
    ensure!((12..=128).contains(&password.chars().count()), "a staff password has 12 to 128 characters");
    let ctx = shop.system_ctx("staff");
    let staff = CreateStaff { email: email.clone(), password, roles: roles.clone() };
    let account = shop.contracts.accounts.create_staff(&ctx, staff).await?;
    answer::put(&format!("{} {} {}", account.id, account.email, account.roles.join(",")))
}
