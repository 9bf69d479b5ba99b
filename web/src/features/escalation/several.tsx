/** Some of many by name: those that are chosen, each to be taken away, and a list to add from. */

import { SelectField } from "../../ui/field";
import { Icon } from "../../ui/icon";
import css from "./escalation.module.css";

type Named = { id: string; name: string };

export function Several({
  label,
  add,
  chosen,
  known,
  onChange,
}: {
  label: string;
  add: string;
  chosen: string[];
  known: Named[];
  onChange: (chosen: string[]) => void;
}) {
  const names = new Map(known.map((each) => [each.id, each.name]));
  return (
    <div className={css.several}>
      <SelectField
        label={label}
        value=""
        onChange={({ target }) => target.value && onChange([...chosen, target.value])}
      >
        <option value="">{add}</option>
        {known
          .filter((each) => !chosen.includes(each.id))
          .map((each) => (
            <option key={each.id} value={each.id}>
              {each.name}
            </option>
          ))}
      </SelectField>
      {chosen.length > 0 && (
        <ul className={css.chips} aria-label={`${label}, chosen`}>
          {chosen.map((id) => (
            <li key={id}>
              {names.get(id) ?? id}
              <button
                type="button"
                aria-label={`Take ${names.get(id) ?? id} away`}
                onClick={() => onChange(chosen.filter((each) => each !== id))}
              >
                <Icon name="close" size={12} />
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
