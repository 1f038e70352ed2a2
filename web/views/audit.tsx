/** The audit trail, newest first, with filters, and whether its chain is whole. For admins. */

import { useState } from "preact/hooks";
import { formatDetails } from "../audit_text.ts";
import { instant } from "../format.ts";
import { parseDuration } from "../../core/names.ts";
import { toTunnelError } from "../../core/errors.ts";
import type { AuditQuery, AuditRow } from "../../core/policy/audit.ts";
import type { ViewProps } from "./root.tsx";
import { useAction, useRemote } from "./use_remote.ts";

/** Rows of a page. */
const PAGE = 100;

interface Filter {
  device: string;
  operator: string;
  since: string;
}

const NO_FILTER: Filter = { device: "", operator: "", since: "" };

export function Audit({ session }: ViewProps) {
  const { admin } = session.fleet!;
  const [filter, setFilter] = useState(NO_FILTER);
  /** The ends of the pages before this one. */
  const [ends, setEnds] = useState<number[]>([]);
  const before = ends.at(-1);
  const page = useRemote(
    // Behind the end of time: the newest of those that there are.
    () =>
      admin.audit({ ...queryOf(filter), before: before ?? Number.MAX_SAFE_INTEGER, limit: PAGE }),
    JSON.stringify([filter, before]),
  );
  const rows = page.value ? [...page.value.rows].reverse() : [];
  const choose = (part: Partial<Filter>) => {
    setEnds([]);
    setFilter({ ...filter, ...part });
  };
  return (
    <section class="audit" aria-labelledby="audit-title">
      <h1 id="audit-title">Audit trail</h1>
      <Verification session={session} />
      <form class="inline" role="search" onSubmit={(event) => event.preventDefault()}>
        <Field name="device" label="Device" value={filter.device} onChoose={choose} />
        <Field name="operator" label="Operator" value={filter.operator} onChoose={choose} />
        <Field
          name="since"
          label="In the last"
          hint="24h, 7d"
          value={filter.since}
          onChoose={choose}
        />
        <button type="button" class="quiet" onClick={page.reload}>Refresh</button>
      </form>
      {page.error && <p class="problem" role="alert">{page.error}</p>}
      {page.value && rows.length === 0 && <p class="empty">Nothing is recorded of that.</p>}
      {rows.length > 0 && <Rows rows={rows} />}
      <div class="field">
        {ends.length > 0 && (
          <button
            type="button"
            class="quiet"
            onClick={() => setEnds(ends.slice(0, -1))}
          >
            Newer
          </button>
        )}
        {page.value && (page.value.more || rows.length === PAGE) && rows.length > 0 && (
          <button
            type="button"
            class="quiet"
            onClick={() => setEnds([...ends, rows.at(-1)!.seq])}
          >
            Older
          </button>
        )}
      </div>
    </section>
  );
}

function Rows({ rows }: { rows: AuditRow[] }) {
  return (
    <div class="wide">
      <table aria-labelledby="audit-title">
        <thead>
          <tr>
            <th scope="col" class="number">No.</th>
            <th scope="col">When</th>
            <th scope="col">What</th>
            <th scope="col">By</th>
            <th scope="col">Details</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.seq} title={row.hash}>
              <td class="number">{row.seq}</td>
              <td class="time">{instant(row.at)}</td>
              <td class={row.type.includes("refused") || row.type === "revoke" ? "alarm" : ""}>
                {row.type}
              </td>
              <td>{row.by}</td>
              <td class="details">{formatDetails(row)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the relay finds when it computes the chain anew. */
function Verification({ session }: Pick<ViewProps, "session">) {
  const [text, setText] = useState<{ isWhole: boolean; words: string }>();
  const checking = useAction();
  const check = () =>
    checking.run(async () => {
      setText(undefined);
      const { rows, head, broken } = await session.fleet!.admin.checkAudit();
      setText(
        broken === undefined
          ? { isWhole: true, words: `${rows} rows are whole; the head is ${head.seq}:${head.hash}` }
          : { isWhole: false, words: `The chain is broken at row ${broken}.` },
      );
    });
  return (
    <div class="verification">
      <button type="button" class="quiet" disabled={checking.isBusy} onClick={check}>
        {checking.isBusy ? "Verifying…" : "Verify the chain"}
      </button>
      {text && <p role="status" class={text.isWhole ? "fine" : "problem"}>{text.words}</p>}
      {checking.error && <p class="problem" role="alert">{checking.error}</p>}
    </div>
  );
}

interface FieldProps {
  readonly name: keyof Filter;
  readonly label: string;
  readonly hint?: string;
  readonly value: string;
  readonly onChoose: (part: Partial<Filter>) => void;
}

function Field({ name, label, hint, value, onChoose }: FieldProps) {
  return (
    <div>
      <label for={`audit-${name}`}>{label}</label>
      <input
        id={`audit-${name}`}
        autocomplete="off"
        spellcheck={false}
        placeholder={hint}
        value={value}
        onChange={({ currentTarget }) => onChoose({ [name]: currentTarget.value })}
      />
    </div>
  );
}

function queryOf({ device, operator, since }: Filter): Omit<AuditQuery, "limit"> {
  try {
    return {
      device: device.trim() || undefined,
      operator: operator.trim() || undefined,
      since: since.trim() ? Date.now() - parseDuration(since.trim()) : undefined,
    };
  } catch (cause) {
    throw toTunnelError(cause, "read the filter", "usage");
  }
}
