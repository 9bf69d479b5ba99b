/** The tree a device registered: what was last known, and what can be asked of it. */
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { type Shown, why } from "../../api/client";
import { deviceQuery, objectsQuery } from "../../api/queries";
import { Icon } from "../../ui/icon";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { usePhone } from "../../ui/phone";
import { count } from "../../ui/words";
import css from "./objects.module.css";
import { ResourceRow } from "./resource-row";

type Tree = Shown["ObjectShown"];

export function ObjectsTab() {
  const { device } = useParams({ from: "/inside/devices/$device" });
  const { data: screen } = useQuery(deviceQuery(device));
  const query = useQuery(objectsQuery(device));
  const [text, setText] = useState("");
  const isPhone = usePhone();
  const isSearching = text.trim() !== "";
  const objects = filtered(query.data?.objects ?? [], text);
  return (
    <section className={`card ${css.tree}`} aria-label="Objects">
      {query.isError && (
        <Failed what="The objects could not be loaded" why={why(query.error)} onRetry={() => void query.refetch()} />
      )}
      {query.isPending && <Skeleton rows={8} height={40} label="Loading the objects" />}
      {query.data && query.data.objects.length === 0 && (
        <Empty title="No objects are known.">
          <p>A device tells its objects when it registers. This one has not been heard yet.</p>
        </Empty>
      )}
      {query.data && query.data.objects.length > 0 && (
        <>
          <label className={css.filter}>
            <Icon name="search" />
            <span className="sr">Name or path</span>
            <input
              type="search"
              placeholder="Name or path"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
            <span className="small muted">{count(query.data.objects.length)} objects</span>
          </label>
          {objects.length === 0 && <Empty title={`Nothing is called “${text}” here.`} />}
          {objects.map((object) => (
            <Group
              key={`${object.path} ${isSearching}`}
              object={object}
              device={device}
              name={screen?.device.name ?? device}
              isOpen={!isPhone || isSearching}
            />
          ))}
        </>
      )}
    </section>
  );
}

function Group({
  object,
  device,
  name,
  isOpen,
}: {
  object: Tree;
  device: string;
  name: string;
  /** How it begins; after that it is the reader's. On a phone, forty resources are a long way to the next object. */
  isOpen: boolean;
}) {
  const [wasOpen] = useState(isOpen);
  return (
    <details open={wasOpen} className={css.object}>
      <summary>
        <Icon name="chevron" className={css.chevron} />
        <code>{object.path}</code>
        <b>{object.name}</b>
        {object.version && <span className="small muted">version {object.version}</span>}
      </summary>
      {object.instances.map((instance) => (
        <div key={instance.path}>
          {object.instances.length > 1 && (
            <p className={css.instance}>
              <code>{instance.path}</code>
            </p>
          )}
          <ul>
            {instance.resources.map((resource) => (
              <ResourceRow key={resource.path} resource={resource} device={device} name={name} />
            ))}
          </ul>
        </div>
      ))}
    </details>
  );
}

/** Objects with the resources that match, whole when the object itself does. */
export function filtered(objects: Tree[], text: string): Tree[] {
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
    .filter((object) => object.instances.length > 0);
}
