/** The tree a device registered: what was last known, what it reports by itself, and what can be asked of it. */
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useDeferredValue, useMemo, useState } from "react";
import { useBlockedBy } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { deviceQuery, foundQuery, objectsQuery } from "../../api/queries";
import { Button } from "../../ui/button";
import { Icon } from "../../ui/icon";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { usePhone } from "../../ui/phone";
import { clockTime, plural } from "../../ui/words";
import { ObjectGroup } from "./object-group";
import css from "./objects.module.css";
import { ReadAllProgress, useReadAll } from "./read-all";
import { ReportedList } from "./reported-list";
import { TreeContext, type TreeObject } from "./tree";

export function ObjectsTab() {
  const { device } = useParams({ from: "/inside/devices/$device" });
  const query = useQuery(objectsQuery(device));
  const { data } = query;
  return (
    <section className={`card ${css.tree}`} aria-label="Objects">
      {query.isError && (
        <Failed
          what="The objects could not be loaded"
          why={why(query.error)}
          dataFrom={data ? clockTime(new Date(query.dataUpdatedAt)) : null}
          onRetry={() => void query.refetch()}
        />
      )}
      {query.isPending && <Skeleton rows={8} height={40} label="Loading the objects" />}
      {data && data.objects.length === 0 && (
        <Empty title="No objects are known.">
          <p>A device tells its objects when it registers. This one has not been heard yet.</p>
        </Empty>
      )}
      {data && data.objects.length > 0 && <Objects device={device} screen={data} />}
    </section>
  );
}

const NOTHING = {};

function Objects({ device, screen }: { device: string; screen: Shown["ObjectsScreen"] }) {
  const { data: page } = useQuery(deviceQuery(device));
  const name = page?.device.name ?? device;
  const { data: found = NOTHING } = useQuery(foundQuery(device));
  const blockedBy = useBlockedBy("write");
  const reading = useReadAll(device, screen.objects);
  const [text, setText] = useState("");
  const isPhone = usePhone();
  // Typing stays quick: the rows follow when there is time.
  const sought = useDeferredValue(text);
  const isSearching = sought.trim() !== "";
  const { objects, observations } = screen;
  const shown = useMemo(() => filtered(objects, sought), [objects, sought]);
  const observed = useMemo(() => new Map(observations.map((each) => [each.path, each])), [observations]);
  const tree = useMemo(
    () => ({ device, name, canAct: blockedBy === null, objects, found }),
    [device, name, blockedBy, objects, found],
  );
  return (
    <TreeContext value={tree}>
      <div className={css.top}>
        <label className={css.filter}>
          <Icon name="search" />
          <span className="sr">Name or path</span>
          <input
            type="search"
            placeholder="Name or path"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <span className="small muted">{plural(objects.length, "object")}</span>
        </label>
        {!blockedBy && (
          <Button look="mini" isBusy={reading.isBusy} onClick={() => void reading.run()}>
            Read all
          </Button>
        )}
      </div>
      {blockedBy && <p className={css.instance}>{blockedBy}</p>}
      <ReadAllProgress name={name} progress={reading.progress} />
      <ReportedList observations={observations} />
      {shown.length === 0 && <Empty title={`Nothing is called “${text}” here.`} />}
      {shown.map((object) => (
        <ObjectGroup
          key={`${object.path} ${isSearching}`}
          object={object}
          observed={observed}
          isOpen={!isPhone || isSearching}
        />
      ))}
    </TreeContext>
  );
}

/** Objects with the resources that match, whole when the object itself does. */
export function filtered(objects: TreeObject[], text: string): TreeObject[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return objects;
  const matches = (path: string, name: string) => path.startsWith(wanted) || name.toLowerCase().includes(wanted);
  return objects
    .map((object) =>
      matches(object.path, object.name)
        ? object
        : {
            ...object,
            instances: object.instances
              .map((each) => ({ ...each, resources: each.resources.filter((one) => matches(one.path, one.name)) }))
              .filter((each) => each.resources.length > 0),
          },
    )
    .filter((object) => object.instances.length > 0 || matches(object.path, object.name));
}
