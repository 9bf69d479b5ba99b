/** What belongs to the person, not to a page: theme, keys, the way out. */

import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useBlockedBy, useLogOut } from "../api/actions";
import { why } from "../api/client";
import { Button } from "../ui/button";
import { Dialog, DialogActions } from "../ui/dialog";
import { Icon } from "../ui/icon";
import css from "./layout.module.css";
import { type Theme, useKeysOn, useTheme } from "./settings";

const THEMES: [Theme, string][] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];
const KEYS = [
  ["/", "search"],
  ["g f", "fleet"],
  ["g a", "alerts"],
  ["g d", "devices"],
  ["g e", "escalation"],
  ["j k", "next, previous alert"],
  ["a", "acknowledge the alert in front"],
  ["1 to 5", "range of the chart"],
  ["?", "this list"],
] as const;

export function More({ person, role, onClose }: { person: string; role: string; onClose: () => void }) {
  const isAdministrator = useBlockedBy("administer") === null;
  const [theme, setTheme] = useTheme();
  const [areKeysOn, setKeysOn] = useKeysOn();
  const logOut = useLogOut();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const leave = () =>
    logOut.mutate(undefined, {
      onSuccess: () => {
        queries.clear();
        void navigate({ to: "/login", search: {} });
      },
    });
  return (
    <Dialog title={person} onClose={onClose}>
      <p className="muted">
        You are {article(role)} {role}.
      </p>
      <nav className={`${css.further} phone`} aria-label="Further pages">
        <Link to="/escalation" onClick={onClose}>
          <Icon name="escalation" /> Escalation, contacts, channels
        </Link>
      </nav>
      <nav className={css.further} aria-label="Trust and labels">
        <Link to="/security" onClick={onClose}>
          <Icon name="shield" /> Security log: who was not let in
        </Link>
        <Link to="/trust" onClick={onClose}>
          <Icon name="shield" /> Trust anchors: whose certificates count
        </Link>
        <Link to="/credentials" onClick={onClose}>
          <Icon name="shield" /> Credentials that end soon
        </Link>
        <Link to="/labels" onClick={onClose}>
          <Icon name="scan" /> Labels to print
        </Link>
      </nav>
      <nav className={css.further} aria-label="People and records">
        {isAdministrator && (
          <>
            <Link to="/people" onClick={onClose}>
              <Icon name="check" /> People and policies
            </Link>
            <Link to="/settings/audit" onClick={onClose}>
              <Icon name="search" /> Audit log: who did what
            </Link>
          </>
        )}
        {!isAdministrator && (
          <Link to="/policies/why" onClick={onClose}>
            <Icon name="check" /> What you may do, and why
          </Link>
        )}
      </nav>
      <fieldset className={css.themes}>
        <legend>Theme</legend>
        {THEMES.map(([value, text]) => (
          <label key={value}>
            <input type="radio" name="theme" checked={theme === value} onChange={() => setTheme(value)} />
            {text}
          </label>
        ))}
      </fieldset>
      <div className={`${css.keys} desktop`}>
        <label>
          <input type="checkbox" checked={areKeysOn} onChange={(event) => setKeysOn(event.target.checked)} />
          Single keys do things
        </label>
        <dl>
          {KEYS.map(([key, does]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
      </div>
      {logOut.isError && <p role="alert">You are still logged in {why(logOut.error)}</p>}
      <DialogActions>
        <Button onClick={leave} isBusy={logOut.isPending}>
          Log out
        </Button>
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      </DialogActions>
    </Dialog>
  );
}

function article(word: string): string {
  return /^[aeiou]/i.test(word) ? "an" : "a";
}
