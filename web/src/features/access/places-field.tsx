/** The farms and enclosures at which a role is held: those that are chosen, and a list to add from. */
import { Button } from "../../ui/button";
import { SelectField } from "../../ui/field";
import css from "./access.module.css";
import type { Screen } from "./area";

export function PlacesField({
  screen,
  chosen,
  onChange,
}: {
  screen: Screen;
  chosen: string[];
  onChange: (chosen: string[]) => void;
}) {
  const names = new Map(screen.places.map((place) => [place.id, place.name]));
  return (
    <div>
      <SelectField
        label="Where"
        value=""
        hint={chosen.length === 0 ? "Everywhere, until a place is added." : "Only at these places."}
        onChange={({ target }) => target.value && onChange([...chosen, target.value])}
      >
        <option value="">add a farm or an enclosure</option>
        {screen.places
          .filter((place) => !chosen.includes(place.id))
          .map((place) => (
            <option key={place.id} value={place.id}>
              {place.name}
            </option>
          ))}
      </SelectField>
      {chosen.length > 0 && (
        <ul className={css.rows} aria-label="Places chosen">
          {chosen.map((id) => (
            <li key={id} className={css.acts}>
              <span>{names.get(id) ?? id}</span>
              <Button
                look="quiet"
                aria-label={`Take ${names.get(id) ?? id} away`}
                onClick={() => onChange(chosen.filter((each) => each !== id))}
              >
                Take away
              </Button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
