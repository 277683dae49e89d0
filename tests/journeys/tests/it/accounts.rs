//! Registering, logging in, rotating, logging out.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::Shop;

const PASSWORD: &str = "correct horse battery";

#[tokio::test(flavor = "multi_thread")]
async fn register_log_in_refresh_log_out() -> Result<()> {
    let shop = Shop::start().await?;
    let mut client = shop.guest();
    let account = json!({"email": "Ada@Example.com", "password": PASSWORD, "name": "Ada"});
    let made = client.post("/api/v1/accounts", &account).await?.expect(201)?;
    ensure!(made["name"] == "Ada" && made["id"].as_str().is_some_and(|id| id.starts_with("usr_")), "{made}");
    let again = json!({"email": "ada@example.COM", "password": PASSWORD, "name": "Ada"});
    let taken = client.post("/api/v1/accounts", &again).await?;
    ensure!(taken.status == 409 && taken.code() == "account.email_taken", "{taken:?}");

    let tokens = client.log_in("ada@example.com", PASSWORD).await?;
    ensure!(tokens["token_type"] == "Bearer" && tokens["expires_in"].as_i64() > Some(0), "{tokens}");
    ensure!(client.get("/api/v1/accounts/me").await?.expect(200)?["name"] == "Ada");
    let renamed = client
        .patch("/api/v1/accounts/me", &json!({"name": "Ada Lovelace", "locale": "zh-CN"}))
        .await?
        .expect(200)?;
    ensure!(renamed["name"] == "Ada Lovelace" && renamed["locale"] == "zh-CN", "{renamed}");

    // The same refresh token within its grace gives the same successor: a retry is no theft.
    let refresh = json!({"refresh_token": client.refresh_token().context("logged in")?});
    let first = client.post("/api/v1/sessions/refresh", &refresh).await?.expect(200)?;
    let second = client.post("/api/v1/sessions/refresh", &refresh).await?.expect(200)?;
    ensure!(first["refresh_token"] == second["refresh_token"]);

    ensure!(client.delete("/api/v1/sessions/current").await?.status == 204);
    ensure!(client.get("/api/v1/accounts/me").await?.status == 401, "the access token died with its session");
    let successor = json!({"refresh_token": first["refresh_token"]});
    ensure!(client.post("/api/v1/sessions/refresh", &successor).await?.status == 401);
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_wrong_look_the_same_until_the_door_is_locked() -> Result<()> {
    let shop = Shop::start().await?;
    let client = shop.guest();
    let account = json!({"email": "bob@example.com", "password": PASSWORD, "name": "Bob"});
    client.post("/api/v1/accounts", &account).await?.expect(201)?;
    let wrong = json!({"email": "bob@example.com", "password": "not the password"});
    let unknown = json!({"email": "nobody@example.com", "password": "not the password"});
    let (wrong_answer, unknown_answer) =
        (client.post("/api/v1/sessions", &wrong).await?, client.post("/api/v1/sessions", &unknown).await?);
    ensure!(wrong_answer.status == 401 && wrong_answer.code() == "account.bad_credentials");
    ensure!(wrong_answer.text == unknown_answer.text && unknown_answer.status == 401);
    let mut last = wrong_answer;
    for _ in 0..30 {
        last = client.post("/api/v1/sessions", &wrong).await?;
        if last.status == 429 {
            break;
        }
    }
    ensure!(last.status == 429 && last.code() == "account.locked", "{last:?}");
    ensure!(last.header("retry-after").is_some());
    let right = json!({"email": "bob@example.com", "password": PASSWORD});
    ensure!(client.post("/api/v1/sessions", &right).await?.status == 429, "locked is locked");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_registrations_at_once_make_one_account() -> Result<()> {
    let shop = Shop::start().await?;
    let client = shop.guest();
    let account = json!({"email": "twin@example.com", "password": PASSWORD, "name": "Twin"});
    let answers =
        futures::future::try_join_all((0..8).map(|_| client.post("/api/v1/accounts", &account))).await?;
    ensure!(answers.iter().filter(|answer| answer.status == 201).count() == 1, "{answers:?}");
    ensure!(answers.iter().filter(|answer| answer.status == 409).count() == 7, "{answers:?}");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_is_the_default() -> Result<()> {
    let shop = Shop::start().await?;
    let shopper = shop.shopper().await?;
    let (first, second) = (shopper.address("US").await?, shopper.address("DE").await?);
    let defaults = async || {
        let list = shopper.get("/api/v1/addresses").await?.expect(200)?;
        let items = list["items"].as_array().cloned().context("items")?;
        let ids = items
            .iter()
            .filter(|a| a["is_default"] == true)
            .filter_map(|a| a["id"].as_str().map(str::to_owned));
        anyhow::Ok(ids.collect::<Vec<_>>())
    };
    ensure!(defaults().await? == [second.clone()], "the newest default wins");
    ensure!(shopper.delete(&format!("/api/v1/addresses/{second}")).await?.status == 204);
    ensure!(defaults().await? == [first.as_str()]);
    let stranger = shop.shopper().await?;
    ensure!(stranger.get(&format!("/api/v1/addresses/{first}")).await?.status == 404);
    shop.finish().await
}
