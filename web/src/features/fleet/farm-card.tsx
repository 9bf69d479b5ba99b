/** A farm in a few square centimetres: how it is, in a sentence, and what each enclosure can still see. */
import { Link } from "@tanstack/react-router";
import type { Shown } from "../../api/client";
import { CoverageCell, inWords } from "../../ui/coverage-cell";
import { StatusIcon, useStatusClass } from "../../ui/status";
import { plural } from "../../ui/words";
import css from "./fleet.module.css";

export function FarmCard({ farm }: { farm: Shown["FarmCard"] }) {
  const colour = useStatusClass(farm.status);
  const isWell = farm.status === "healthy" || farm.status === "new";
  return (
    <li className={`card ${css.farm}`}>
      <div className={css.farmHead}>
        <StatusIcon status={farm.status} />
        <Link to="/farms/$farm" params={{ farm: farm.id }} className={css.farmName}>
          {farm.name}
        </Link>
        <span className="space" />
        <span className="small muted nowrap">{plural(farm.counts.devices, "device")}</span>
      </div>
      <p className={`${css.farmSays} ${isWell ? "muted" : colour}`}>{farm.says}</p>
      <ul className={css.cells}>
        {farm.cells.map((cell) => (
          <li key={cell.enclosure}>
            <Link
              to="/farms/$farm"
              params={{ farm: farm.id }}
              hash={cell.enclosure}
              className={css.cellLink}
              title={`${cell.name}: ${inWords(cell.quantities)}`}
            >
              <CoverageCell label={cell.label} state={cell.state} bars={cell.quantities} />
              <span className="sr">
                {cell.name}: {inWords(cell.quantities)}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </li>
  );
}
