/** What other LwM2M servers may do on this device; shown of one that has several. */
import type { Shown } from "../../api/client";
import css from "./device.module.css";

type Others = Shown["OtherServers"];
type Control = Shown["ControlLine"];

export function OtherServers({ others }: { others: Others | null }) {
  if (!others) return null;
  return (
    <section className="card pad" aria-label="Other servers">
      <h2>Other servers</h2>
      <p>{whom(others)}</p>
      {others.problem && <p className={css.bad}>{others.problem}.</p>}
      {!others.is_ruled && <p className="small muted">No policy speaks of them: all is as bootstrap left it.</p>}
      {others.is_ruled && !others.is_settled && <p className="small muted">The device is being asked.</p>}
      {others.is_drift && <p className={css.bad}>The device lets them do something else than policies say.</p>}
      <dl className={css.facts}>
        {others.controls.map((control) => (
          <Rights key={control.path} control={control} />
        ))}
      </dl>
    </section>
  );
}

function Rights({ control }: { control: Control }) {
  const isCreation = !control.path.slice(1).includes("/");
  return (
    <>
      <dt>
        <code>{control.path}</code>
        {isCreation && ", new"}
      </dt>
      <dd>
        {control.rights.length === 0 && "nobody else"}
        <ul>
          {control.rights.map((each) => (
            <li key={each.server}>
              {each.server === "*" ? "all others" : `server ${each.server}`}: {rights(each, control.state)}
            </li>
          ))}
        </ul>
        {control.reason && (
          <span className={control.is_drift ? css.bad : "small muted"}>{control.reason.replace(/\.?$/, ".")}</span>
        )}
      </dd>
    </>
  );
}

/** What a server may; and what it should be able to, where that is something else. */
function rights({ wanted, found }: Shown["RightsLine"], state: string): string {
  const may = words(found);
  return state === "left" || may === words(wanted) ? may : `${may}; wanted: ${words(wanted)}`;
}

function words(operations: string[]): string {
  return operations.join(", ") || "nothing";
}

function whom({ own, servers }: Others): string {
  const us = own === null ? "" : ` It knows this Shoal as server ${own}.`;
  if (servers.length === 0) return `It has other servers, and does not show which.${us}`;
  return `It also has ${servers.length === 1 ? "server" : "servers"} ${servers.join(", ")}.${us}`;
}
