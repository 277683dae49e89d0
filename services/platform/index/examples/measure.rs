use std::time::{Duration, Instant};
use platform_index::*;
use uuid::Uuid;
fn rnd(s: &mut u64) -> u64 { *s ^= *s << 13; *s ^= *s >> 7; *s ^= *s << 17; *s }
fn zipf(s: &mut u64, n: usize) -> usize { let u = (rnd(s) % 1_000_000) as f64 / 1e6; (((n as f64).powf(u)) as usize).min(n) - 1 }
fn word(n: usize) -> String { let syl = ["ba","co","di","fu","ge","lo","ma","ni","po","ra","se","ti","vu","xe","ya","zo"]; let mut n = n + 1; let mut w = String::new(); while n > 0 { w.push_str(syl[n % 16]); n /= 16; } w.push_str("r"); w }
fn doc(i: u64, s: &mut u64) -> Document {
    let title: Vec<String> = (0..6).map(|_| word(zipf(s, 20000))).collect();
    let c = zipf(s, 5000);
    let named = |p: &str, n: usize| Named { id: format!("{p}_{n}"), slug: format!("{p}-{n}"), name: format!("{} {}", word(n % 3000), word((n * 7) % 3000)) };
    Document { id: Uuid::from_u128((i as u128) << 64 | 7), version: 1, slug: format!("p-{i}"), title: title.join(" "), brand: Some(named("brd", zipf(s, 800))),
        categories: vec![named("cat", c % 20), named("cat", 20 + c % 300), named("cat", 400 + c)], tags: (0..4).map(|_| word(zipf(s, 5000))).collect(),
        attributes: (0..6).map(|_| word(zipf(s, 500))).collect(), description: (0..60).map(|_| word(zipf(s, 20000))).collect::<Vec<_>>().join(" "),
        sku_codes: vec![format!("SKU{i}")], price: Some((100 + rnd(s) % 50_000) as i64), in_stock: rnd(s) % 10 != 0, published_at: i as i64, sold: zipf(s, 10000) as i64, card: format!("{{\"id\":{i},\"x\":\"{}\"}}", "y".repeat(400)) }
}
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let index = Tantivy::at(&dir, Settings::default());
    index.may_write().await.unwrap();
    let mut s = 88172645463325252u64;
    let t = Instant::now();
    let b = index.rebuild().await.unwrap();
    for chunk in 0..200u64 { let docs: Vec<_> = (0..500).map(|k| Change::Upsert(Box::new(doc(chunk * 500 + k, &mut s)))).collect(); b.apply(docs).await.unwrap(); }
    b.finish().await.unwrap();
    println!("rebuild 100k {:?}", t.elapsed());
    let q = |words: String, order| Query { words, filters: Filters::default(), order, offset: 0, limit: 20, facets: true };
    for (name, f) in [
        ("all", Box::new(|_: &mut u64| q(String::new(), Order::Newest)) as Box<dyn Fn(&mut u64) -> Query>),
        ("category", Box::new(|s| { let mut x = q(String::new(), Order::BestSelling); x.filters.category = Some(format!("cat-{}", zipf(s, 300))); x })),
        ("1 word", Box::new(|s| q(word(zipf(s, 3000)), Order::Relevance))),
        ("top word", Box::new(|_| q(word(0), Order::Relevance))),
        ("2 words", Box::new(|s| q(format!("{} {}", word(zipf(s, 2000)), word(zipf(s, 2000))), Order::Relevance))),
        ("2 words price", Box::new(|s| q(format!("{} {}", word(zipf(s, 2000)), word(zipf(s, 2000))), Order::PriceAsc))),
        ("typo", Box::new(|s| { let mut w = word(zipf(s, 2000) + 300); w.insert(2, 'q'); q(w + " ", Order::Relevance) })),
        ("prefix", Box::new(|s| q(word(zipf(s, 3000)).chars().take(3).collect(), Order::Relevance))),
    ] {
        let mut times: Vec<Duration> = Vec::new(); let mut total = 0;
        for _ in 0..300 { let query = f(&mut s); let t = Instant::now(); total += index.search(query).await.unwrap().total; times.push(t.elapsed()); }
        times.sort(); println!("{name:15} p50 {:?} p99 {:?} max {:?} hits {}", times[150], times[297], times[299], total / 300);
    }
    let mut times = Vec::new();
    for _ in 0..300 { let w: String = word(zipf(&mut s, 3000)).chars().take(4).collect(); let t = Instant::now(); index.suggest(w, 10).await.unwrap(); times.push(t.elapsed()); }
    times.sort(); println!("suggest p50 {:?} p99 {:?}", times[150], times[297]);
    // 200/s while 100 products change twice a second
    let writer = index.clone();
    let w = tokio::task::spawn(async move { let mut s = 99u64; let mut c = vec![]; for n in 0..20u64 { let t = Instant::now(); writer.apply((0..100).map(|k| Change::Upsert(Box::new(doc((n * 7919 + k * 31) % 100_000, &mut s)))).collect()).await.unwrap(); c.push(t.elapsed()); tokio::time::sleep(Duration::from_millis(400)).await; } c.sort(); println!("commit p50 {:?} max {:?}", c[10], c[19]); });
    let mut tasks = Vec::new(); let start = tokio::time::Instant::now();
    for n in 0..1600u32 {
        tokio::time::sleep_until(start + Duration::from_micros(5000 * n as u64)).await;
        let query = match n % 4 { 0 => q(word(zipf(&mut s, 3000)), Order::Relevance), 1 => q(format!("{} {}", word(zipf(&mut s, 2000)), word(zipf(&mut s, 2000))), Order::Relevance), 2 => { let mut x = q(String::new(), Order::Newest); x.filters.category = Some(format!("cat-{}", zipf(&mut s, 300))); x }, _ => q(word(zipf(&mut s, 3000)).chars().take(4).collect(), Order::PriceAsc) };
        let index = index.clone(); tasks.push(tokio::task::spawn(async move { let t = Instant::now(); index.search(query).await.unwrap(); t.elapsed() }));
    }
    let mut times = Vec::new(); for t in tasks { times.push(t.await.unwrap()); } times.sort();
    println!("200/s mixed p50 {:?} p95 {:?} p99 {:?} max {:?}", times[800], times[1520], times[1584], times[1599]);
    w.await.unwrap();
    println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS")).collect::<Vec<_>>().join(" "));
}
