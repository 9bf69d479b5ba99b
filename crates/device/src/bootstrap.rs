//! The device's side of the bootstrap interface (OMA LwM2M Core 1.1 §6.1): what a bootstrap server may change.
//!
//! What the bootstrap server writes and deletes is gathered apart, and takes effect as a whole when the server has said
//! that it was all (Bootstrap-Finish) and it fits together; until then, and if it never does, everything is as it was. The
//! servers from before come back if none of the new ones takes the device's registration.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use coap::{Answered, Code, Message, Request, content_format};
use lwm2m::{Path, Record, Value, Version, codec};

use crate::account::{self, ACCOUNTS_MAX, Account};
use crate::client::{Device, Phase, Ticket};
use crate::event::Event;
use crate::held::values_json;
use crate::reply::Reply;
use crate::tree::{SECURITY_OBJECT, Tree, VALUES_MAX, check_level};

/// EXCHANGE_LIFETIME (RFC 7252 §4.8.2): a bootstrap server that says nothing for so long says nothing any more
/// (Core 1.1 §6.1.7).
const SILENCE_MAX: Duration = Duration::from_secs(247);

/// Objects that only say whom the device talks to and what each may do: Security, Server, Access Control, OSCORE.
pub(crate) const ACCOUNT_OBJECTS: [u16; 4] = [SECURITY_OBJECT, 1, 2, 21];

/// The Device object, which always has its one instance (Core 1.1 §E.4).
const DEVICE_OBJECT: u16 = 3;

/// What a device that can be bootstrapped knows beyond others.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    /// Which of its servers it tries; the bootstrap server comes after them.
    pub(crate) turn: usize,
    /// Attempts with that one.
    pub(crate) attempts: u32,
    /// It talks to the bootstrap server.
    pub(crate) is_asking: bool,
    /// The host of this URI is to be looked up.
    pub(crate) lookup: Option<String>,
    /// What its server is told with each registration.
    pub(crate) queries: Vec<(String, String)>,
    pub(crate) staged: Option<Staged>,
    /// Its servers from before, until one of the new ones has taken its registration.
    pub(crate) former: Option<Vec<Record>>,
    /// A server asked for it, or what was staged is complete: as soon as the answer has left.
    is_trigger_due: bool,
    is_finish_due: bool,
    /// When the bootstrap server's account ends.
    pub(crate) purge_at: Option<Instant>,
}

impl Bootstrap {
    pub(crate) fn new() -> Self {
        Self {
            turn: 0,
            attempts: 0,
            is_asking: false,
            lookup: None,
            queries: Vec::new(),
            staged: None,
            former: None,
            is_trigger_due: false,
            is_finish_due: false,
            purge_at: None,
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.is_trigger_due || self.is_finish_due
    }
}

/// The tree as the bootstrap server wants it, and as it was when it began: what the owner sets meanwhile is kept.
#[derive(Debug)]
pub(crate) struct Staged {
    base: Tree,
    tree: Tree,
}

/// A refusal, and why in words.
type Refusal = (Code, String);

impl Device {
    /// It talks to its bootstrap server, or is about to.
    pub fn is_bootstrapping(&self) -> bool {
        self.bootstrap.as_ref().is_some_and(|bootstrap| bootstrap.is_asking)
    }

    /// The way is open: what is said first.
    pub(crate) fn begin(&mut self, now: Instant) {
        if !self.is_bootstrapping() {
            return self.register(now);
        }
        // What an earlier one left half done counts for nothing.
        if let Some(bootstrap) = &mut self.bootstrap {
            (bootstrap.staged, bootstrap.is_finish_due) = (None, false);
        }
        self.phase = Phase::Bootstrapping { silent_at: now + SILENCE_MAX };
        let mut request = Request::new(Code::POST, "/bs");
        request.queries = vec![format!("ep={}", self.config.endpoint)];
        match self.config.version {
            Version::V1_0 => {}
            Version::V1_1 => request.queries.push(format!("pct={}", content_format::SENML_CBOR)),
            // Core 1.2 §6.1.7: all of it in one piece, where the server can.
            Version::V1_2 => {
                (request.code, request.path) = (Code::GET, "/bspack".to_owned());
                request.accept = Some(content_format::SENML_CBOR);
            }
        }
        let ticket = if request.code == Code::GET { Ticket::Pack } else { Ticket::Bootstrap };
        self.ask(now, request, ticket);
    }

    /// What the bootstrap server said to the request that began it.
    pub(crate) fn handle_bootstrap(&mut self, now: Instant, ticket: &Ticket, answered: &Answered) {
        let is_unknown = matches!(
            answered.code,
            Code::NOT_FOUND | Code::METHOD_NOT_ALLOWED | Code::NOT_ACCEPTABLE | Code::NOT_IMPLEMENTED
        );
        if *ticket == Ticket::Pack && is_unknown {
            // A server of 1.1.
            let mut request = Request::new(Code::POST, "/bs");
            request.queries =
                vec![format!("ep={}", self.config.endpoint), format!("pct={}", content_format::SENML_CBOR)];
            return self.ask(now, request, Ticket::Bootstrap);
        }
        if !answered.code.is_success() {
            let detail = String::from_utf8_lossy(&answered.payload).into_owned();
            self.come_back_later(now, Some(answered.code), detail);
            return self.heed_pause(now, answered);
        }
        if *ticket == Ticket::Bootstrap {
            return;
        }
        match self.unpack(answered) {
            Ok(()) => self.commit(now),
            Err(detail) => self.come_back_later(now, Some(answered.code), detail),
        }
    }

    /// A pack replaces every server there was (Core 1.2 §6.1.7).
    fn unpack(&mut self, answered: &Answered) -> Result<(), String> {
        let format = answered.content_format.unwrap_or(content_format::SENML_CBOR);
        let records = codec::decode(format, &Path::ROOT, &answered.payload, 0.0, &self.definitions)
            .map_err(|error| error.to_string())?;
        let said = |(_, why): Refusal| why;
        self.stage_delete(&Path::ROOT).map_err(said)?;
        self.stage_write(&Path::ROOT, records).map_err(said)?;
        self.check_staged().map_err(said)
    }

    /// What the bootstrap server asks.
    pub(crate) fn serve_bootstrap(&mut self, now: Instant, message: &Message<'_>, body: &[u8]) -> Reply {
        if let Phase::Bootstrapping { silent_at } = &mut self.phase {
            *silent_at = now + SILENCE_MAX;
        }
        self.bootstrap_step(message, body)
            .unwrap_or_else(|(code, why)| Reply { payload: why.into_bytes(), ..Reply::from(code) })
    }

    /// Core 1.1 §6.1.7, over the CoAP methods of Transport 1.1 §6.4.
    fn bootstrap_step(&mut self, message: &Message<'_>, body: &[u8]) -> Result<Reply, Refusal> {
        let is_finish = message.code == Code::POST && message.path().eq([b"bs".as_slice()]);
        if is_finish {
            self.check_staged()?;
            if let Some(bootstrap) = &mut self.bootstrap {
                bootstrap.is_finish_due = true;
            }
            return Ok(Reply::from(Code::CHANGED));
        }
        let path = self.path_of(message).map_err(|code| (code, "no path of an object".to_owned()))?;
        match message.code {
            Code::GET if message.accept() == Some(content_format::LINK_FORMAT) => self.show_staged(&path),
            Code::GET => self.read_staged(&path, message.accept()),
            Code::PUT if !path.is_root() => {
                let decoded = self.decoded(&path, message, body);
                let records = decoded.map_err(|error| (error.code(), error.to_string()))?;
                self.stage_write(&path, records)?;
                Ok(Reply::from(Code::CHANGED))
            }
            Code::DELETE => {
                self.stage_delete(&path)?;
                Ok(Reply::from(Code::DELETED))
            }
            _ => Err((Code::METHOD_NOT_ALLOWED, "not an operation of the bootstrap interface".to_owned())),
        }
    }

    fn staged(&mut self) -> Option<&mut Tree> {
        let bootstrap = self.bootstrap.as_mut()?;
        let begin = || Staged { base: self.tree.clone(), tree: self.tree.clone() };
        Some(&mut bootstrap.staged.get_or_insert_with(begin).tree)
    }

    /// Bootstrap-Write: whatever the access rights of a resource are, and whether or not it is there (Core 1.1 §6.1.7).
    fn stage_write(&mut self, path: &Path, records: Vec<Record>) -> Result<(), Refusal> {
        let definitions = self.definitions.clone();
        let Some(tree) = self.staged() else { return Err(not_now()) };
        let mut typed = Vec::with_capacity(records.len());
        for mut record in records {
            let at = record.path;
            let refused = |code, why: &str| (code, format!("{at}: {why}"));
            let defined = at.resource.and_then(|id| definitions.resource(at.object, id));
            let is_known = definitions.object(at.object).is_some() || tree.has(&Path::of_object(at.object));
            if !path.contains(&at) || at.resource.is_none() {
                return Err(refused(Code::BAD_REQUEST, "not beneath what is written"));
            }
            if !is_known {
                return Err(refused(Code::NOT_FOUND, "no such object"));
            }
            if defined.is_some_and(|resource| resource.kind.is_none() || resource.operations.execute) {
                return Err(refused(Code::METHOD_NOT_ALLOWED, "it holds no value"));
            }
            check_level(&at, &definitions).map_err(|code| refused(code, "one value, or several"))?;
            record.retype(&definitions).map_err(|error| refused(Code::BAD_REQUEST, &error.to_string()))?;
            typed.push(record);
        }
        if typed.is_empty() || tree.with_keys(&Path::ROOT).count() + typed.len() > VALUES_MAX {
            return Err((Code::BAD_REQUEST, "nothing to write, or too much".to_owned()));
        }
        for record in typed {
            tree.set(record.path, record.value);
        }
        Ok(())
    }

    /// Bootstrap-Delete (Core 1.1 §6.1.7). The bootstrap server's own account stays, and so does the Device object; of
    /// the root, what belongs to the device itself, which only its owner could bring back.
    fn stage_delete(&mut self, path: &Path) -> Result<(), Refusal> {
        let definitions = self.definitions.clone();
        let Some(tree) = self.staged() else { return Err(not_now()) };
        let objects = if path.is_root() { ACCOUNT_OBJECTS.to_vec() } else { vec![path.object] };
        if path.depth() > 2 || objects.contains(&DEVICE_OBJECT) {
            return Err((Code::BAD_REQUEST, format!("{path} cannot be deleted")));
        }
        for object in objects {
            for instance in account::instances(tree, object) {
                let at = Path::of_instance(object, instance);
                if !path.contains(&at) {
                    continue;
                }
                if object == SECURITY_OBJECT && account::is_bootstrap(tree, instance) {
                    if path.depth() == 2 {
                        return Err((Code::BAD_REQUEST, format!("{path} is the bootstrap server's own account")));
                    }
                    continue;
                }
                if !ACCOUNT_OBJECTS.contains(&object) {
                    let refused = |_| (Code::BAD_REQUEST, format!("{at} is a part of the device"));
                    tree.check_delete(&at, &definitions).map_err(refused)?;
                }
                tree.remove(&at);
            }
        }
        Ok(())
    }

    /// Bootstrap-Discover (Core 1.1 §6.1.7): instances, and of which server they are.
    fn show_staged(&mut self, path: &Path) -> Result<Reply, Refusal> {
        let (version, definitions) = (self.config.version, self.definitions.clone());
        let Some(tree) = self.staged() else { return Err(not_now()) };
        if path.depth() > 1 {
            return Err((Code::BAD_REQUEST, "the root, or an object".to_owned()));
        }
        let mut objects = tree.objects();
        if !account::instances(tree, SECURITY_OBJECT).is_empty() {
            objects.insert(SECURITY_OBJECT);
        }
        if !path.is_root() && !objects.contains(&path.object) {
            return Err((Code::NOT_FOUND, format!("{path}: no such object")));
        }
        let mut links = match version {
            Version::V1_0 => "</>;lwm2m=\"1.0\"".to_owned(),
            Version::V1_1 => "</>;lwm2m=1.1".to_owned(),
            Version::V1_2 => "</>;lwm2m=1.2".to_owned(),
        };
        for object in objects.into_iter().filter(|object| path.is_root() || path.object == *object) {
            let instances = account::instances(tree, object);
            let newer = definitions.object(object).filter(|found| found.version != (1, 0));
            if let Some(definition) = newer.filter(|_| version != Version::V1_0) {
                links.push_str(&format!(",</{object}>;ver={}", definition.version_text()));
            } else if instances.is_empty() {
                links.push_str(&format!(",</{object}>"));
            }
            for instance in instances {
                links.push_str(&format!(",</{object}/{instance}>{}", server_of(tree, object, instance, version)));
            }
        }
        let format = Some(content_format::LINK_FORMAT);
        Ok(Reply { format, payload: links.into_bytes(), ..Reply::from(Code::CONTENT) })
    }

    /// Bootstrap-Read (Core 1.1 §6.1.7): the Server and the Access Control object, and no other.
    fn read_staged(&mut self, path: &Path, accept: Option<u16>) -> Result<Reply, Refusal> {
        let (version, definitions) = (self.config.version, self.definitions.clone());
        let Some(tree) = self.staged() else { return Err(not_now()) };
        if version == Version::V1_0 || !matches!(path.object, 1 | 2) || path.is_root() || path.depth() > 2 {
            return Err((Code::METHOD_NOT_ALLOWED, "only the objects 1 and 2 can be read".to_owned()));
        }
        let found = tree.with_keys(path).map(|(there, value)| Record::new(*there, value.clone()));
        let found: Vec<Record> = found.collect();
        if found.is_empty() {
            return Err((Code::NOT_FOUND, format!("{path}: there is nothing")));
        }
        let format = accept.unwrap_or(content_format::SENML_CBOR);
        let payload = codec::encode(format, path, &found, &definitions);
        let payload = payload.map_err(|error| (Code::NOT_ACCEPTABLE, error.to_string()))?;
        Ok(Reply { format: Some(format), payload, ..Reply::from(Code::CONTENT) })
    }

    /// Whether what is there now is a device that can register (Core 1.1 §6.1.7: else 4.06).
    fn check_staged(&mut self) -> Result<(), Refusal> {
        let Some(tree) = self.staged() else { return Err(not_now()) };
        let unfit = |unfit: account::Unfit| (Code::NOT_ACCEPTABLE, unfit.to_string());
        let servers: Vec<Account> = account::servers(tree).map_err(unfit)?;
        account::bootstrap_server(tree).map_err(unfit)?;
        if servers.is_empty() {
            return Err((Code::NOT_ACCEPTABLE, "there is no server to register with".to_owned()));
        }
        Ok(())
    }

    /// What is due, and what was due once the answer had left.
    pub(crate) fn settle_bootstrap(&mut self, now: Instant) {
        if let Phase::Bootstrapping { silent_at } = self.phase
            && silent_at <= now
        {
            return self.come_back_later(now, None, "the bootstrap server fell silent".to_owned());
        }
        let Some(bootstrap) = &mut self.bootstrap else { return };
        if std::mem::take(&mut bootstrap.is_finish_due) {
            return self.commit(now);
        }
        if std::mem::take(&mut bootstrap.is_trigger_due) {
            if !account::bootstrap_server(&self.tree).is_ok_and(|account| account.is_some()) {
                let detail = "a bootstrap was asked for, and there is no bootstrap server".to_owned();
                return self.events.push_back(Event::Refused { code: None, detail });
            }
            (bootstrap.turn, bootstrap.attempts) = (ACCOUNTS_MAX, 0);
            self.close_session();
            self.drop_session("a bootstrap was asked for");
            self.failures = 0;
            return self.connect(now);
        }
        if bootstrap.purge_at.is_some_and(|at| at <= now) {
            bootstrap.purge_at = None;
            if let Ok(Some(account)) = account::bootstrap_server(&self.tree) {
                self.tree.remove(&Path::of_instance(SECURITY_OBJECT, account.security));
                self.tell_accounts();
            }
        }
    }

    /// A server asks for a bootstrap (Core 1.1 §E.2, resource 9).
    pub(crate) fn note_trigger(&mut self) {
        if let Some(bootstrap) = &mut self.bootstrap {
            bootstrap.is_trigger_due = true;
        }
    }

    /// What was staged takes effect, and the first of the new servers is tried.
    fn commit(&mut self, now: Instant) {
        let Some(bootstrap) = &mut self.bootstrap else { return };
        let Some(Staged { base, tree }) = bootstrap.staged.take() else { return };
        let had_servers = account::servers(&self.tree).is_ok_and(|servers| !servers.is_empty());
        // A second bootstrap before the first was proved does not make its servers the ones to come back to.
        if had_servers && bootstrap.former.is_none() {
            bootstrap.former = Some(accounts_in(&self.tree));
        }
        (bootstrap.turn, bootstrap.attempts) = (0, 0);
        self.failures = 0;
        let before: BTreeMap<&Path, &Value> = base.with_keys(&Path::ROOT).collect();
        let after: BTreeMap<&Path, &Value> = tree.with_keys(&Path::ROOT).collect();
        let mut written = Vec::new();
        for gone in before.keys().filter(|path| !after.contains_key(*path)) {
            if self.tree.remove(gone) && !ACCOUNT_OBJECTS.contains(&gone.object) {
                self.events.push_back(Event::Removed { path: **gone });
            }
        }
        for (path, value) in after.iter().filter(|(path, value)| before.get(*path) != Some(value)) {
            self.tree.set(**path, (*value).clone());
            written.push(**path);
        }
        for path in written.iter().filter(|path| !ACCOUNT_OBJECTS.contains(&path.object)) {
            self.tell_written(path);
        }
        self.tell_accounts();
        self.close_session();
        self.drop_session("bootstrapped");
        self.connect(now);
    }

    /// A server took the registration: its account is good, and what was before is not needed any more.
    pub(crate) fn note_proved(&mut self, now: Instant) {
        let timeout = account::bootstrap_server(&self.tree).ok().flatten().and_then(|account| account.timeout);
        let Some(bootstrap) = &mut self.bootstrap else { return };
        bootstrap.former = None;
        bootstrap.attempts = 0;
        bootstrap.purge_at = bootstrap.purge_at.or_else(|| timeout.map(|timeout| now + timeout));
    }

    pub(crate) fn tell_accounts(&mut self) {
        self.events.push_back(Event::AccountsChanged { values: values_json(&accounts_in(&self.tree)) });
    }
}

fn accounts_in(tree: &Tree) -> Vec<Record> {
    let found = tree.with_keys(&Path::ROOT).filter(|(path, _)| ACCOUNT_OBJECTS.contains(&path.object));
    found.map(|(path, value)| Record::new(*path, value.clone())).collect()
}

/// Attributes of an instance that say of which server it is (Core 1.1 §6.1.7).
fn server_of(tree: &Tree, object: u16, instance: u16, version: Version) -> String {
    let id = |id: Option<i64>| id.map(|id| format!(";ssid={id}")).unwrap_or_default();
    match object {
        SECURITY_OBJECT => {
            let (short, uri) = account::shown(tree, instance);
            let short = if account::is_bootstrap(tree, instance) { String::new() } else { id(short) };
            // Since 1.1.
            let uri = uri.filter(|uri| version != Version::V1_0 && !uri.contains(['"', '\\']));
            format!("{short}{}", uri.map(|uri| format!(";uri=\"{uri}\"")).unwrap_or_default())
        }
        1 => {
            let short = tree.get(&Path::of_resource(1, instance, 0));
            id(match short {
                Some(Value::Integer(short)) => Some(*short),
                _ => None,
            })
        }
        _ => String::new(),
    }
}

fn not_now() -> Refusal {
    (Code::METHOD_NOT_ALLOWED, "no bootstrap is under way".to_owned())
}
