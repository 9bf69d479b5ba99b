/** The frame around every page: where one can go, how fresh the data is, what delays monitoring. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouter } from "@tanstack/react-router";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Live, QUIET_MS_MAX, type Stream } from "../api/live";
import { frameQuery, meQuery } from "../api/queries";
import { useNow } from "../ui/clock";
import { type Freshness, FreshnessContext } from "../ui/freshness";
import { Icon, type IconName, Mark } from "../ui/icon";
import { KeysContext, useKeys } from "../ui/keys";
import { clockTime, count, duration } from "../ui/words";
import { Banner } from "./banner";
import css from "./layout.module.css";
import { More } from "./more";
import { Search } from "./search";
import { useKeysOn } from "./settings";

export function Layout() {
  const [areKeysOn] = useKeysOn();
  return (
    <KeysContext value={areKeysOn}>
      <Frame />
    </KeysContext>
  );
}

function Frame() {
  const stream = useStream();
  const { data: me } = useQuery(meQuery);
  const { data: frame } = useQuery(frameQuery);
  const [isMoreOpen, setMoreOpen] = useState(false);
  const [isSearchOpen, setSearchOpen] = useState(false);
  const now = useNow(1000);
  const isCut = stream.heardAt !== null && now - stream.heardAt > QUIET_MS_MAX;
  const delayedSince = frame?.delayed_since ?? null;
  const from = isCut ? stream.heardAt : null;
  const freshness = useMemo<Freshness>(
    () => ({ isStale: isCut || delayedSince !== null, dataFrom: from === null ? null : new Date(from) }),
    [isCut, delayedSince, from],
  );
  useGoKeys(
    () => setMoreOpen(true),
    () => setSearchOpen(true),
  );
  const needs = frame?.needs_person ?? 0;
  return (
    <FreshnessContext value={freshness}>
      <div className={css.app}>
        <a href="#main" className={css.skip}>
          Skip to the content
        </a>
        <aside className={css.side}>
          <div className={css.tenant}>
            <Mark />
            <span>{me?.tenant || "Shoal"}</span>
          </div>
          <button type="button" className={css.search} onClick={() => setSearchOpen(true)} title="Search">
            <Icon name="search" />
            <span className={css.text}>Search</span>
            <kbd>/</kbd>
          </button>
          <nav aria-label="Main">
            <NavLink to="/" icon="fleet" text="Fleet" />
            <NavLink to="/alerts" icon="alerts" text="Alerts" badge={needs} />
            <NavLink to="/devices" icon="devices" text="Devices" />
            <NavLink to="/add" icon="scan" text="Add devices" />
            <NavLink to="/escalation" icon="escalation" text="Escalation" />
          </nav>
          <span className="space" />
          <LiveMark stream={stream} now={now} isCut={isCut} />
          <button type="button" className={css.person} onClick={() => setMoreOpen(true)}>
            <span className={css.initials} aria-hidden="true">
              {initials(me?.user ?? "")}
            </span>
            <span>{me?.user}</span>
            <Icon name="more" />
            <span className="sr">Theme, keys, log out</span>
          </button>
        </aside>
        <header className={css.top}>
          <Mark size={28} />
          <b>{me?.tenant || "Shoal"}</b>
          <span className="space" />
          <LiveMark stream={stream} now={now} isCut={isCut} />
          <button type="button" className={css.find} onClick={() => setSearchOpen(true)}>
            <Icon name="search" size={24} />
            <span className="sr">Search</span>
          </button>
        </header>
        <main id="main" className={css.main} tabIndex={-1}>
          <Banner delayedSince={delayedSince} />
          <Outlet />
        </main>
        <nav className={css.bottom} aria-label="Main, phone">
          <BarLink to="/" icon="fleet" text="Fleet" />
          <BarLink to="/alerts" icon="alerts" text="Alerts" badge={needs} />
          <BarLink to="/add" icon="scan" text="Scan" />
          <BarLink to="/devices" icon="devices" text="Devices" />
          <button type="button" onClick={() => setMoreOpen(true)}>
            <Icon name="more" size={24} />
            More
          </button>
        </nav>
        {isSearchOpen && <Search onClose={() => setSearchOpen(false)} />}
        {isMoreOpen && <More person={me?.user ?? ""} role={me?.role ?? ""} onClose={() => setMoreOpen(false)} />}
      </div>
    </FreshnessContext>
  );
}

type LinkProps = {
  to: "/" | "/alerts" | "/devices" | "/add" | "/escalation";
  icon: IconName;
  text: string;
  badge?: number;
};

function NavLink({ to, icon, text, badge = 0 }: LinkProps) {
  return (
    <Link
      to={to}
      className={css.link}
      activeProps={{ className: css.on }}
      activeOptions={{ exact: to === "/", includeSearch: false }}
      title={text}
    >
      <Icon name={icon} />
      <span className={css.text}>{text}</span>
      {badge > 0 && (
        <span className={css.badge}>
          {count(badge)}
          <span className="sr"> need a person</span>
        </span>
      )}
    </Link>
  );
}

function BarLink({ to, icon, text, badge = 0 }: LinkProps) {
  return (
    <Link to={to} activeProps={{ className: css.on }} activeOptions={{ exact: to === "/", includeSearch: false }}>
      <span className={css.held}>
        <Icon name={icon} size={24} />
        {badge > 0 && <span className={css.badge}>{count(badge)}</span>}
      </span>
      {text}
    </Link>
  );
}

function LiveMark({ stream, now, isCut }: { stream: Stream; now: number; isCut: boolean }) {
  const heard = stream.heardAt === null ? null : new Date(stream.heardAt);
  const isLive = stream.state === "live" && !isCut;
  return (
    <div className={`${css.live} ${isLive ? "" : css.cut}`}>
      <Icon name={isLive ? "live" : "stale"} className={isLive ? css.accent : undefined} />
      {isLive && heard && (
        <span>
          <b>Live</b>, {duration(now - heard.getTime())}
        </span>
      )}
      {!isLive && stream.state === "connecting" && !heard && <span>Connecting</span>}
      {!isLive && (stream.state !== "connecting" || heard) && (
        <span>
          <b>Reconnecting</b>
          {heard && <span className={css.from}>, data from {clockTime(heard)}</span>}
        </span>
      )}
    </div>
  );
}

function useStream(): Stream {
  const queries = useQueryClient();
  const router = useRouter();
  const [live, setLive] = useState<Live | null>(null);
  useEffect(() => {
    const made = new Live(queries, () => {
      // A request may have found out first, and be on the way there already.
      const here = router.state.location;
      if (here.pathname !== "/login") void router.navigate({ to: "/login", search: { next: here.href, ended: true } });
    });
    setLive(made);
    return () => made.close();
  }, [queries, router]);
  return useSyncExternalStore(live?.subscribe ?? never, live?.current ?? connecting);
}

const CONNECTING: Stream = { state: "connecting", heardAt: null };
const connecting = () => CONNECTING;
const never = () => () => {};

function useGoKeys(help: () => void, search: () => void): void {
  const navigate = useNavigate();
  useKeys({
    "g f": () => void navigate({ to: "/" }),
    "g a": () => void navigate({ to: "/alerts" }),
    "g d": () => void navigate({ to: "/devices" }),
    "g e": () => void navigate({ to: "/escalation" }),
    "/": search,
    "?": help,
  });
}

function initials(name: string): string {
  const words = name.split(/[\s@.]+/).filter(Boolean);
  return [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => word?.charAt(0).toUpperCase() ?? "").join("");
}
