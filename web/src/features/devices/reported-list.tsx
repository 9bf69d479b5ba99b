/** What a device is to report by itself, in one place: what differs from what is wanted comes first. */
import { useState } from "react";
import { Button } from "../../ui/button";
import { Icon } from "../../ui/icon";
import { plural } from "../../ui/words";
import css from "./objects.module.css";
import { originText, ReportingDialog, ReportingNote } from "./reporting";
import { nameAt, type Observation, useTree } from "./tree";

export function ReportedList({ observations }: { observations: Observation[] }) {
  const wanted = observations.filter((each) => each.is_wanted).length;
  const drifted = observations.filter((each) => each.has_drifted).length;
  const sorted = [...observations].sort((one, other) => Number(other.has_drifted) - Number(one.has_drifted));
  return (
    <details className={css.object}>
      <summary>
        <Icon name="chevron" className={css.chevron} />
        <b>Reports by itself</b>
        <span className="small muted">{wanted === 0 ? "nothing" : plural(wanted, "path")}</span>
        {drifted > 0 && <span className={css.drifted}>{drifted} not as wanted</span>}
      </summary>
      {observations.length === 0 && <p className={css.instance}>Neither its profile nor anybody here wants it to.</p>}
      <ul>
        {sorted.map((observation) => (
          <Line key={observation.path} observation={observation} />
        ))}
      </ul>
    </details>
  );
}

function Line({ observation }: { observation: Observation }) {
  const { canAct, objects } = useTree();
  const [isOpen, setOpen] = useState(false);
  const { path } = observation;
  const name = nameAt(objects, path) || path;
  const resource = objects
    .flatMap((object) => object.instances)
    .flatMap((instance) => instance.resources)
    .find((each) => each.path === path);
  const units = resource?.units ?? "";
  return (
    <li className={css.reported}>
      <code className={css.path}>{path}</code>
      <span>
        {name} <ReportingNote observation={observation} units={units} />
        <span className={css.about}>{originText(observation)}</span>
      </span>
      {canAct && (
        <span className={css.acts}>
          <Button look="mini" onClick={() => setOpen(true)}>
            Change<span className="sr"> how {name} is reported</span>
          </Button>
        </span>
      )}
      {isOpen && (
        <ReportingDialog
          about={{ path, name, type: resource?.type ?? "", units }}
          observation={observation}
          onClose={() => setOpen(false)}
        />
      )}
    </li>
  );
}
