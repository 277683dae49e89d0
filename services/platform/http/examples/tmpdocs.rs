//! tmp
use std::{sync::Arc, time::{Duration, Instant}};
use actix_web::{get, web, App, HttpServer, HttpResponse, HttpRequest};
use platform_http::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
fn product() -> serde_json::Value { serde_json::json!({"id":"prd_01j","title":"A thing of some beauty","description":"x".repeat(800),"skus":(0..12).map(|i| serde_json::json!({"id":format!("sku_{i}"),"code":"C-1","price":{"amount":1999,"currency":"USD"},"available":7,"options":{"size":"L","colour":"red"}})).collect::<Vec<_>>()}) }
#[utoipa::path(tag = "orders", responses((status = 200, body = String)))]
#[get("/api/v1/products/{id}")]
async fn one(req: HttpRequest, Anyone(_ctx): Anyone, PathOf(_id): PathOf<String>, p: web::Data<serde_json::Value>) -> Answer { Ok(cached(&req, &**p, 60)) }
async fn raw(p: web::Data<serde_json::Value>) -> HttpResponse { HttpResponse::Ok().json(&**p) }
async fn load(addr: std::net::SocketAddr) -> f64 {
    let start = Instant::now();
    let tasks: Vec<_> = (0..64).map(|_| tokio::spawn(async move {
        let mut s = tokio::net::TcpStream::connect(addr).await.unwrap(); s.set_nodelay(true).unwrap();
        let mut n = 0u64; let mut buf = vec![0u8; 65536];
        while start.elapsed() < Duration::from_secs(4) {
            s.write_all(b"GET /api/v1/products/abc HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut have = 0;
            loop { have += s.read(&mut buf[have..]).await.unwrap();
                if let Some(h) = buf[..have].windows(4).position(|w| w == b"\r\n\r\n") {
                    let head = std::str::from_utf8(&buf[..h]).unwrap();
                    let len: usize = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
                    if have >= h + 4 + len { break; } } }
            n += 1; }
        n })).collect();
    let mut n = 0; for t in tasks { n += t.await.unwrap(); }
    n as f64 / start.elapsed().as_secs_f64()
}
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().json().with_env_filter("info").init();
    let p = web::Data::new(product());
    let p2 = p.clone();
    let routes: Routes = Arc::new(move |cfg| { cfg.app_data(p2.clone()); cfg.service(one); });
    let mut config = HttpServerConfig::default();
    config.listen = ([127,0,0,1], 0).into(); config.rate_limit.enabled = std::env::args().nth(1).is_some(); config.rate_limit.per_address = 4_000_000_000;
    let bound = Server::new(config, Arc::new(kernel::SystemClock)).routes([routes]).bind().unwrap();
    let ours = bound.address();
    tokio::spawn(bound.run(std::future::pending()));
    let s = HttpServer::new(move || App::new().app_data(p.clone()).route("/api/v1/products/{id}", web::get().to(raw))).workers(2).bind("127.0.0.1:0").unwrap();
    let theirs = s.addrs()[0]; tokio::spawn(s.run());
    for _ in 0..4 { let a = load(theirs).await; let b = load(ours).await; println!("raw {a:.0} ours {b:.0} ratio {:.2}", b / a); }
}
