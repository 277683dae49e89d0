//! tmp
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, get, web};
use platform_http::*;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
fn product() -> serde_json::Value {
    serde_json::json!({"id":"prd_01j","title":"A thing of some beauty","description":"x".repeat(800),"skus":(0..12).map(|i| serde_json::json!({"id":format!("sku_{i}"),"code":"C-1","price":{"amount":1999,"currency":"USD"},"available":7,"options":{"size":"L","colour":"red"}})).collect::<Vec<_>>()})
}
#[utoipa::path(tag = "orders", responses((status = 200, body = String)))]
#[get("/api/v1/products/{id}")]
async fn one(
    req: HttpRequest,
    Anyone(_ctx): Anyone,
    PathOf(_id): PathOf<String>,
    p: web::Data<serde_json::Value>,
) -> Answer {
    Ok(cached(&req, &**p, 60))
}
#[utoipa::path(tag = "orders", responses((status = 200, body = String)))]
#[get("/api/v2/products/{id}")]
async fn two(p: web::Data<serde_json::Value>) -> HttpResponse {
    HttpResponse::Ok().json(&**p)
}
async fn raw(p: web::Data<serde_json::Value>) -> HttpResponse {
    HttpResponse::Ok().json(&**p)
}
async fn load(addr: std::net::SocketAddr, path: &'static str) -> f64 {
    let start = Instant::now();
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            tokio::spawn(async move {
                let mut s = tokio::net::TcpStream::connect(addr).await.unwrap();
                s.set_nodelay(true).unwrap();
                let mut n = 0u64;
                let mut buf = vec![0u8; 65536];
                while start.elapsed() < Duration::from_secs(3) {
                    s.write_all(path.as_bytes()).await.unwrap();
                    let mut have = 0;
                    loop {
                        have += s.read(&mut buf[have..]).await.unwrap();
                        if let Some(h) = buf[..have].windows(4).position(|w| w == b"\r\n\r\n") {
                            let head = std::str::from_utf8(&buf[..h]).unwrap();
                            let len: usize = head
                                .lines()
                                .find_map(|l| l.strip_prefix("content-length: "))
                                .unwrap()
                                .parse()
                                .unwrap();
                            if have >= h + 4 + len {
                                break;
                            }
                        }
                    }
                    n += 1;
                }
                n
            })
        })
        .collect();
    let mut n = 0;
    for t in tasks {
        n += t.await.unwrap();
    }
    n as f64 / start.elapsed().as_secs_f64()
}
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().json().with_env_filter(std::env::var("F").unwrap_or("info".into())).init();
    let p = web::Data::new(product());
    let p2 = p.clone();
    let routes: Routes = Arc::new(move |cfg| {
        cfg.app_data(p2.clone());
        cfg.service(one);
        cfg.service(two);
    });
    let junk: Routes = Arc::new(|cfg| {
        for n in 0..100 {
            cfg.route(&format!("/api/v1/thing{n}/{{id}}"), web::get().to(raw));
        }
    });
    let mut config = HttpServerConfig::default();
    config.listen = ([127, 0, 0, 1], 0).into();
    config.rate_limit.enabled = std::env::args().nth(1).is_some();
    config.rate_limit.per_address = 4_000_000_000;
    let bound = Server::new(config, Arc::new(kernel::SystemClock)).routes([junk, routes]).bind().unwrap();
    let ours = bound.address();
    tokio::spawn(bound.run(std::future::pending()));
    let s = HttpServer::new(move || {
        App::new().app_data(p.clone()).route("/api/v1/products/{id}", web::get().to(raw))
    })
    .workers(2)
    .bind("127.0.0.1:0")
    .unwrap();
    let theirs = s.addrs()[0];
    tokio::spawn(s.run());
    for _ in 0..4 {
        let v1 = "GET /api/v1/products/abc HTTP/1.1\r\nhost: x\r\n\r\n";
        let v2 = "GET /api/v2/products/abc HTTP/1.1\r\nhost: x\r\n\r\n";
        let a = load(theirs, v1).await;
        let b = load(ours, v1).await;
        let c = load(ours, v2).await;
        println!("raw {a:.0} ours {b:.0} ratio {:.2} gate only {c:.0} {:.2}", b / a, c / a);
    }
}
