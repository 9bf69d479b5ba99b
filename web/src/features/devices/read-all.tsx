/** Reading all objects of a device, one after another. */
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../api/actions";
import { Problem, why } from "../../api/client";
import { plural } from "../../ui/words";
import css from "./objects.module.css";
import type { TreeObject } from "./tree";

type Refusal = { path: string; says: string };
type Progress = { read: number; waiting: number; refused: Refusal[]; total: number; isOver: boolean };

export function useReadAll(device: string, objects: TreeObject[]) {
  const queries = useQueryClient();
  const [progress, setProgress] = useState<Progress | null>(null);
  const run = async () => {
    let now: Progress = { read: 0, waiting: 0, refused: [], total: objects.length, isOver: false };
    setProgress(now);
    for (const { path } of objects) {
      try {
        const { state } = await ask(device, { operation: "read", path });
        now = state === "done" ? { ...now, read: now.read + 1 } : { ...now, waiting: now.waiting + 1 };
      } catch (error) {
        const says = error instanceof Problem && error.code ? `${error.code} ${error.detail}`.trim() : why(error);
        now = { ...now, refused: [...now.refused, { path, says }] };
      }
      setProgress(now);
    }
    setProgress({ ...now, isOver: true });
    await queries.invalidateQueries({ queryKey: ["device", device] });
  };
  return { progress, run, isBusy: progress !== null && !progress.isOver };
}

export function ReadAllProgress({ name, progress }: { name: string; progress: Progress | null }) {
  return (
    <div className={progress ? css.head : undefined} role="status" aria-label="Reading all">
      {progress && !progress.isOver && (
        <span className="small">
          Asked {done(progress)} of {plural(progress.total, "object")}
        </span>
      )}
      {progress?.isOver && (
        <p className="small">
          <Result name={name} progress={progress} />
        </p>
      )}
    </div>
  );
}

function done({ read, waiting, refused }: Progress): number {
  return read + waiting + refused.length;
}

function Result({ name, progress: { read, waiting, refused } }: { name: string; progress: Progress }) {
  return (
    <>
      {read > 0 && <span className={css.done}>{plural(read, "object")} read. </span>}
      {waiting > 0 && (
        <span className={css.later}>
          {plural(waiting, "read")} {waiting === 1 ? "waits" : "wait"} until {name} wakes.{" "}
        </span>
      )}
      {refused.map(({ path, says }) => (
        <span key={path} className={css.wrong}>
          <code>{path}</code> was not read: {says}{" "}
        </span>
      ))}
    </>
  );
}
