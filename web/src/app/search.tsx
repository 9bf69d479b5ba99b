/** One field finds all: devices, farms, enclosures, alerts. Opened by `/`; arrows choose, Enter goes there. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, useEffect, useId, useState } from "react";
import { type Shown, why } from "../api/client";
import { searchQuery } from "../api/queries";
import { Dialog } from "../ui/dialog";
import { Icon, type IconName } from "../ui/icon";
import { Failed } from "../ui/notice";
import css from "./search.module.css";

type Group = Shown["SearchScreen"]["groups"][0];
type Item = Group["items"][0] & { kind: Group["kind"] };

const GROUPS: Record<Group["kind"], { title: string; icon: IconName }> = {
  device: { title: "Devices", icon: "devices" },
  farm: { title: "Farms", icon: "fleet" },
  enclosure: { title: "Enclosures", icon: "fleet" },
  alert: { title: "Alerts", icon: "alerts" },
};

/** Longer than between two letters of somebody who types, shorter than anybody waits. */
const PAUSE_MS = 200;

export function Search({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const go = useGo(onClose);
  // One question when the typing pauses, not one for each letter; what was found stays until then.
  const typed = text.trim();
  const [sought, setSought] = useState("");
  useEffect(() => {
    const pause = setTimeout(() => setSought(typed), PAUSE_MS);
    return () => clearTimeout(pause);
  }, [typed]);
  const query = useQuery(searchQuery(sought));
  const groups = typed === "" || sought === "" ? [] : (query.data?.groups ?? []);
  const items: Item[] = groups.flatMap(({ kind, items }) => items.map((item) => ({ kind, ...item })));
  const chosen = items[Math.min(at, items.length - 1)];
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && items.length > 0) {
      event.preventDefault();
      setAt((Math.min(at, items.length - 1) + step + items.length) % items.length);
    }
    if (event.key !== "Enter") return;
    if (sought !== typed) setSought(typed);
    else if (chosen && !query.isPlaceholderData) go(chosen);
  };
  return (
    <Dialog title="Search" onClose={onClose}>
      <input
        className={css.field}
        type="search"
        role="combobox"
        aria-label="Name, id, serial number or code"
        aria-expanded={items.length > 0}
        aria-controls={list}
        aria-activedescendant={chosen ? optionId(list, chosen) : undefined}
        aria-autocomplete="list"
        placeholder="Name, id, serial number or code"
        autoComplete="off"
        autoFocus
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <p role="status" className="small muted">
        {(typed === "" || sought === "") && "Devices, farms, enclosures and open alerts."}
        {query.isSuccess &&
          typed !== "" &&
          sought !== "" &&
          items.length === 0 &&
          `Nothing is called “${sought}” here.`}
        {items.length > 0 && <span className="sr">{items.length} found</span>}
      </p>
      {query.isError && (
        <Failed what="The search did not work" why={why(query.error)} onRetry={() => void query.refetch()} />
      )}
      <div id={list} role="listbox" aria-label="Found" className={css.found}>
        {groups.map(({ kind, items: inside }) => (
          // biome-ignore lint/a11y/useSemanticElements: a listbox groups its options by this role
          <div key={kind} role="group" aria-label={GROUPS[kind].title}>
            <p className={css.title} aria-hidden="true">
              {GROUPS[kind].title}
            </p>
            {inside.map((item) => {
              const option = { kind, ...item };
              const isChosen = chosen?.kind === kind && chosen.id === item.id;
              return (
                // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the focus and the keys
                <div
                  key={item.id}
                  id={optionId(list, option)}
                  role="option"
                  tabIndex={-1}
                  aria-selected={isChosen}
                  className={css.option}
                  onClick={() => go(option)}
                >
                  <Icon name={GROUPS[kind].icon} />
                  <span>{item.name}</span>
                  <span className="small muted">{item.beside}</span>
                </div>
              );
            })}
          </div>
        ))}
      </div>
    </Dialog>
  );
}

function optionId(list: string, { kind, id }: Item): string {
  return `${list}-${kind}-${id}`;
}

function useGo(onClose: () => void): (item: Item) => void {
  const navigate = useNavigate();
  return ({ kind, id, farm }) => {
    onClose();
    switch (kind) {
      case "device":
        return void navigate({ to: "/devices/$device", params: { device: id } });
      case "farm":
        return void navigate({ to: "/farms/$farm", params: { farm: id } });
      case "enclosure":
        // An enclosure is shown on the page of its farm.
        return void (farm && navigate({ to: "/farms/$farm", params: { farm }, hash: id }));
      case "alert":
        return void navigate({ to: "/alerts/$alert", params: { alert: id } });
    }
  };
}
