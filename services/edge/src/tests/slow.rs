//! Homes that are slow, and those that stand still.

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    failing::{NOBODY, by_law, endpoint, keyed, with_odd_home, with_stand_in},
    *,
};

/// A home that takes connections and says nothing.
async fn silent(stream: TcpStream) {
    let _kept = stream;
    std::future::pending::<()>().await;
}

#[actix_web::test]
async fn a_slow_home_is_not_waited_for() {
    let hedged = |edge: &mut EdgeConfig, http: &mut HttpServerConfig| {
        edge.hedge = Duration::from_millis(50);
        edge.failures = 3;
        edge.pause = Duration::from_secs(60);
        http.deadline = Duration::from_secs(4);
    };
    with_odd_home(hedged, silent, |a, asked| async move {
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "a");
        assert_eq!(json(keyed(&a, "/api/v1/orders")).await["region"], "a");
        let unsettled = problem(post(&a, "/api/v1/cart/merge").body("{}")).await;
        assert_eq!(unsettled, (503, "edge.unsettled".to_owned(), true));
        // Three in a row: from now on nobody waits for it.
        assert_eq!(json(post(&a, "/api/v1/cart/merge").body("{}")).await["region"], "a");
        assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "a");
        // One that was let go may still be on its way there.
        while asked.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    })
    .await;
}

#[actix_web::test]
async fn the_first_good_answer_counts() {
    let hedged = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.hedge = Duration::from_millis(50);
    two(site("a", hedged), plain("b"), |a, b| async move {
        // Both regions run it; the one that is let go answers.
        for (first, name) in [(&b, "b"), (&a, "a")] {
            let before = (a.here.runs(), b.here.runs());
            let letting_go = async {
                while a.here.runs() == before.0 || b.here.runs() == before.1 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                first.here.go.notify_one();
            };
            let (seen, ()) = tokio::join!(json(get(&a, "/api/v1/cart/slow")), letting_go);
            assert_eq!(seen["region"], name);
        }
        b.here.go.notify_waiters();
    })
    .await;
}

#[actix_web::test]
async fn a_slow_home_that_nobody_may_stand_in_for_is_waited_for() {
    let impatient = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| {
        edge.hedge = Duration::from_millis(20);
        edge.failures = 1;
        edge.pause = PATIENT;
    };
    let slow = |mut stream: TcpStream| async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nslow";
        stream.write_all(answer).await.unwrap();
    };
    with_odd_home(impatient, slow, |a, asked| async move {
        a.believes(by_law(&[("a", &a.url()), ("b", &endpoint(&a, "b"))]));
        for _ in 0..2 {
            let answer = post(&a, "/api/v1/cart/merge").send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "slow"));
        }
        assert_eq!((a.here.runs(), asked.load(Ordering::SeqCst)), (0, 2));
    })
    .await;
}

#[actix_web::test]
async fn a_slow_home_is_not_waited_for_where_another_region_stands_in() {
    let hedged = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.hedge = Duration::from_millis(50);
    with_odd_home(hedged, silent, |a, _| async move {
        with_stand_in(a, |a, c| async move {
            assert_eq!(json(get(&a, "/api/v1/cart")).await["region"], "c");
            assert_eq!((a.here.runs(), c.here.runs()), (0, 1));
        })
        .await;
    })
    .await;
}

#[actix_web::test]
async fn a_home_that_stops_in_the_middle_of_an_answer_keeps_nobody() {
    let brief = |_: &mut EdgeConfig, http: &mut HttpServerConfig| http.deadline = Duration::from_secs(5);
    let half = |mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n").await.unwrap();
        stream.write_all(&vec![b'x'; 1_500_000]).await.unwrap();
        std::future::pending::<()>().await;
    };
    with_odd_home(brief, half, |a, _| async move {
        let answer = get(&a, "/api/v1/cart").send().await.unwrap();
        assert_eq!(answer.status(), 200, "its beginning was there");
        let rest = tokio::time::timeout(PATIENT, answer.bytes()).await;
        assert!(rest.expect("the connection is closed").is_err());
    })
    .await;
}

#[actix_web::test]
async fn of_several_slow_regions_the_first_that_answers_well_counts() {
    let hedged = |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.hedge = Duration::from_millis(50);
    with_odd_home(hedged, silent, |a, _| async move {
        with_stand_in(a, |a, c| async move {
            let home = endpoint(&a, "b");
            a.believes(by_law(&[("a", &a.url()), ("b", &home), ("c", &c.url()), ("d", NOBODY)]));
            let letting_go = async {
                while c.here.runs() == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                // Slow, too: the next one is asked, and nobody is there.
                tokio::time::sleep(Duration::from_millis(200)).await;
                c.here.go.notify_one();
            };
            let (seen, ()) = tokio::join!(json(get(&a, "/api/v1/cart/slow")), letting_go);
            assert_eq!(seen["region"], "c");
            assert_eq!((a.here.runs(), c.here.runs()), (0, 1));
        })
        .await;
    })
    .await;
}
