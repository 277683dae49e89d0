//! How a shop is to be, and its start.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::{Shape, Shop};
use crate::{Links, Parts, broker::Broker, database::Database, redis};

/// Says how a shop is to be.
#[derive(Clone, Debug)]
pub struct ShopBuilder {
    shape: Shape,
    sample: bool,
    profile: &'static str,
    environment: Vec<(String, String)>,
    found: Vec<String>,
    parts: Parts,
    links: bool,
}

impl ShopBuilder {
    pub(super) fn new() -> Self {
        Self {
            shape: Shape::AllInOne,
            sample: false,
            profile: "test",
            environment: Vec::new(),
            found: Vec::new(),
            parts: Parts::named(),
            links: false,
        }
    }

    /// Regions reach each other, and their TiDB, by lines that can be cut: [`Shop::links`].
    #[must_use]
    pub fn with_links(mut self) -> Self {
        self.links = true;
        self
    }

    /// With these further arguments of `meridian region found`.
    #[must_use]
    pub fn found_with(mut self, arguments: &[&str]) -> Self {
        self.found.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// On these servers, not on those that the environment names.
    #[must_use]
    pub fn on(mut self, parts: Parts) -> Self {
        self.parts = parts;
        self
    }

    /// Cut into these processes.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// With the sample catalog.
    #[must_use]
    pub fn with_sample(mut self) -> Self {
        self.sample = true;
        self
    }

    /// As people run it: what is measured must not have the test profile's short lives and busy jobs.
    #[must_use]
    pub fn as_shipped(mut self) -> Self {
        self.profile = "prod";
        self
    }

    /// With this configuration variable, such as `ORDER__EXPIRY`.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push(setting(name, value));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Result<Shop> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let groups = self.shape.groups();
        let mut ports = stack::free_ports(2 * groups.len())?;
        let sandboxes = ports.split_off(groups.len());
        let database = Database::of_shop(&self.parts, folder.path(), &data);
        let broker = Broker::of(&self.parts);
        let mut environment = broker
            .iter()
            .flat_map(|broker| &broker.environment)
            .chain(&database.environment)
            .chain(&redis::environment(&self.parts))
            .chain(&self.environment)
            .cloned()
            .collect::<Vec<_>>();
        let sandbox = sandboxes[0];
        environment.push(("MERIDIAN__PAYMENT__SANDBOX__LISTEN".into(), format!("127.0.0.1:{sandbox}")));
        if self.shape == Shape::Twice {
            environment
                .push(("MERIDIAN__PAYMENT__SANDBOX__URL".into(), format!("http://127.0.0.1:{sandbox}")));
        }
        if groups.len() > 1 && self.shape.regions().is_empty() {
            for (index, group) in groups.iter().enumerate() {
                for module in group.split(',') {
                    let name = format!("MERIDIAN__CLIENT__TARGETS__{}", module.to_ascii_uppercase());
                    environment.push((name, format!("http://127.0.0.1:{}", ports[index])));
                }
            }
        }
        let arguments = groups
            .iter()
            .zip(&ports)
            .map(|(group, port)| {
                let mut line = ["--profile", self.profile, "--data"].map(str::to_owned).to_vec();
                line.push(data.to_string_lossy().into_owned());
                line.extend(["serve", "--target", group, "--listen"].map(str::to_owned));
                line.push(format!("127.0.0.1:{port}"));
                if !self.sample {
                    line.push("--no-sample".to_owned());
                }
                line
            })
            .collect();
        let bases: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let mut links = self.links.then(Links::none);
        let mut own = vec![Vec::new(); groups.len()];
        for (region, (own, (port, sandbox))) in
            self.shape.regions().iter().zip(own.iter_mut().zip(ports.iter().zip(&sandboxes)))
        {
            *own = self.region(region, *port, *sandbox, links.as_mut()).await?;
        }
        let mut shop = Shop {
            folder,
            database,
            broker,
            profile: self.profile,
            arguments,
            environment,
            own,
            processes: Vec::new(),
            links,
            shape: self.shape,
            bases,
            admin_password: format!("admin-{:032x}", rand::random::<u128>()),
        };
        shop.run_command(&["migrate"], None)?;
        if shop.broker.is_some() {
            shop.run_command(&["bus", "setup"], None)?;
        }
        let endpoints = shop.own.iter().flatten().filter(|(name, _)| name.ends_with("REGION__ENDPOINT"));
        let regions: Vec<String> = shop
            .shape
            .regions()
            .iter()
            .zip(endpoints)
            .map(|(region, (_, at))| format!("{region}={at}"))
            .collect();
        if !regions.is_empty() {
            let words: Vec<&str> = ["region", "found"]
                .into_iter()
                .chain(regions.iter().chain(&self.found).map(String::as_str))
                .collect();
            shop.run_command(&words, None)?;
        }
        let password = shop.admin_password.clone();
        shop.run_command(
            &["staff", "create", "--email", "admin@example.com", "--password-stdin", "--role", "admin"],
            Some(&password),
        )?;
        shop.restart().await?;
        Ok(shop)
    }

    /// What only this region's process is told.
    async fn region(
        &self,
        name: &str,
        port: u16,
        sandbox: u16,
        links: Option<&mut Links>,
    ) -> Result<Vec<(String, String)>> {
        let listens = SocketAddr::from(([127, 0, 0, 1], port));
        let mut endpoint = listens;
        let mut told = Vec::new();
        if let Some(links) = links {
            endpoint = links.line_to_region(name, listens).await?;
            if let Some(tidb) = &self.parts.tidb {
                let target = tidb.parse().with_context(|| format!("the TiDB's address {tidb}"))?;
                let near = links.line_to_database(name, target).await?;
                told.push(setting("DATABASE__TIDB__HOST", near.ip()));
                told.push(setting("DATABASE__TIDB__PORT", near.port()));
            }
        }
        told.push(setting("REGION__NAME", name));
        told.push(setting("REGION__ENDPOINT", format!("http://{endpoint}")));
        told.push(setting("PAYMENT__SANDBOX__LISTEN", format!("127.0.0.1:{sandbox}")));
        Ok(told)
    }
}

/// A configuration variable.
fn setting(name: &str, value: impl ToString) -> (String, String) {
    (format!("MERIDIAN__{name}"), value.to_string())
}
