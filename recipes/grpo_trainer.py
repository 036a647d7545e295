"""TRL's GRPOTrainer with less arithmetic for the same gradient.

The completions of a group share their prompt, and on a CPU the update is the dearest part of a step. Three savings:

- **One prompt for a group.** TRL runs prompt + completion for every completion: 8 times the same prompt. Here a group is one sequence

      p0 … p(n-2) | p(n-1) a0 a1 … | p(n-1) b0 b1 … | …

  where each completion sees the prompt and itself, by a block mask and position ids that start again behind the prompt. Its last token is
  repeated, because it predicts the first token of each completion. Padding inside a group is gone as well.
- **No update for what carries none.** A completion with advantage 0 (its whole group scored alike, or its score is missing) adds exactly
  nothing to the `dapo` loss without KL, whose divisor counts all tokens anyway: its rows are left out.

- **The head where it is needed** (CPU): see `_whole_head`.

Log-probabilities differ from TRL's by rounding only; the first batch of a run is computed both ways, and TRL's way is kept if they differ.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from trl import GRPOTrainer

from recipes.policy import takes_block_masks

log = logging.getLogger(__name__)
WHOLE_LOGITS = 2**28  # positions times vocabulary: 1 GiB in float32, held twice during the update
AGREES = 1e-2  # nats; rounding is below 1e-4 in float32. bfloat16 rounds more and is compared in the mean.


@dataclass(frozen=True)
class Packed:
    """G groups as one sequence each (L tokens with padding), and where the B completions (T tokens) lie in them.

    input_ids, position_ids, shift_labels (G, L); attention_mask (G, 1, L, L), additive; index (B, T) into the flattened G·L positions,
    each the position that predicts the token.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    shift_labels: torch.Tensor
    attention_mask: torch.Tensor
    index: torch.Tensor


def pack_groups(
    input_ids: torch.Tensor, attention_mask: torch.Tensor, completion_length: int, dtype: torch.dtype
) -> Packed:
    """Rows (B, P + T), prompts padded left and completions right, as groups of equal prompts."""
    split = input_ids.shape[1] - completion_length
    lengths = attention_mask[:, split:].sum(1).tolist()
    groups: dict[tuple[int, ...], list[int]] = {}
    for row in range(len(input_ids)):
        prompt = input_ids[row, :split][attention_mask[row, :split].bool()]
        groups.setdefault(tuple(prompt.tolist()), []).append(row)
    sizes = [len(p) - 1 + sum(1 + lengths[row] for row in rows) for p, rows in groups.items()]
    width = max(sizes)
    packed_ids = torch.zeros(len(groups), width, dtype=torch.long)
    positions, labels = torch.zeros_like(packed_ids), torch.full_like(packed_ids, -100)
    sees = torch.eye(width, dtype=torch.bool).repeat(
        len(groups), 1, 1
    )  # padding sees itself: a softmax needs something
    index = torch.zeros(len(input_ids), completion_length, dtype=torch.long)
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    for g, (prompt, rows) in enumerate(groups.items()):
        shared = len(prompt) - 1
        packed_ids[g, :shared] = torch.tensor(prompt[:shared])
        positions[g, :shared] = torch.arange(shared)
        sees[g, :shared, :shared] = causal[:shared, :shared]
        start = shared
        for row in rows:
            length = lengths[row]
            end = start + 1 + length
            completion = input_ids[row, split : split + length].cpu()
            packed_ids[g, start] = prompt[-1]
            packed_ids[g, start + 1 : end] = completion
            positions[g, start:end] = torch.arange(shared, shared + 1 + length)
            labels[g, start : end - 1] = completion
            sees[g, start:end, :shared] = True
            sees[g, start:end, start:end] = causal[: end - start, : end - start]
            index[row, :length] = g * width + torch.arange(start, end - 1)
            start = end
    device = input_ids.device
    mask = torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, torch.finfo(dtype).min)
    return Packed(
        packed_ids.to(device),
        positions.to(device),
        labels.to(device),
        mask[:, None].to(device),
        index.to(device),
    )


class RewriterGRPOTrainer(GRPOTrainer):
    """As GRPOTrainer. `packing` says whether the packed way is in use; None until the first batch has been compared."""

    packing: bool | None = None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **media: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """(B, T) log-probabilities of the completions' tokens and, if asked for, the entropies there; 0 at padding."""

        def plain() -> Any:
            own = super(RewriterGRPOTrainer, self)._get_per_token_logps_and_entropies
            return own(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **media,
            )

        if self.packing is False or compute_aux_loss or any(value is not None for value in media.values()):
            return plain()
        bare = self.accelerator.unwrap_model(model)  # DistributedDataParallel hides config and dtype
        if self.packing is None and not takes_block_masks(bare):
            self.packing = False
            return plain()
        batch = pack_groups(input_ids, attention_mask, logits_to_keep, bare.dtype)
        real, tokens = attention_mask[:, -logits_to_keep:], input_ids[:, -logits_to_keep:]
        if self.whole_head_fits(bare, int(real.sum())):
            logps, entropies = self._whole_head(bare, batch, tokens, real.bool(), compute_entropy)
        else:
            logps, entropies = self._packed(model, batch, real, compute_entropy)
        if self.packing is None:
            with torch.no_grad():
                gap = ((plain()[0] - logps) * attention_mask[:, -logits_to_keep:]).abs()
            exact = bare.dtype == torch.float32 and not self.args.bf16 and not self.args.fp16
            largest = float(gap.max() if exact else gap.mean())
            self.packing = largest < AGREES
            if not self.packing:
                log.warning(
                    "packed log-probabilities differ by %.3g nats from TRL's; going on with TRL's", largest
                )
                return plain()
        return logps, entropies, None

    def _packed(
        self, model: Any, batch: Packed, real: torch.Tensor, entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        with self.accelerator.autocast():
            found = model(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                position_ids=batch.position_ids,
                shift_labels=batch.shift_labels,
                fused_lm_head=True,
            )
        logps = found.log_probs.flatten()[batch.index] * real
        return logps, (found.entropy.flatten()[batch.index] * real).detach() if entropy else None

    def whole_head_fits(self, bare: Any, tokens: int) -> bool:
        """A CPU, where memory is there and arithmetic is not; in one process, whose model nobody wraps."""
        vocabulary = bare.config.get_text_config().vocab_size
        alone = self.accelerator.device.type == "cpu" and self.accelerator.num_processes == 1
        return alone and tokens * vocabulary <= WHOLE_LOGITS

    def _whole_head(
        self, bare: Any, batch: Packed, tokens: torch.Tensor, real: torch.Tensor, entropy: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The head at the N positions that predict a completion's token, in one piece.

        TRL's head saves memory: on a CPU it projects every position, projects again in the backward pass, and
        computes the gradient of a head that is frozen.
        """
        base = bare.get_base_model()
        with self.accelerator.autocast():  # the wrapper that would do it is left out here
            hidden_GLD = base.base_model(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                position_ids=batch.position_ids,
                use_cache=False,
            ).last_hidden_state
            hidden_ND = hidden_GLD.flatten(0, 1)[batch.index[real]]
            logits_NV = base.get_output_embeddings()(hidden_ND)
        logits_NV = logits_NV.float() / self.temperature
        logps_NV = torch.log_softmax(logits_NV, dim=-1)
        logps_N = logps_NV.gather(1, tokens[real][:, None])[:, 0]
        logps = logps_N.new_zeros(real.shape).masked_scatter(real, logps_N)
        if not entropy:
            return logps, None
        with torch.no_grad():
            entropy_N = torch.cat([-(part.exp() * part).sum(1) for part in logps_NV.split(256)])
            return logps, logps_N.new_zeros(real.shape).masked_scatter(real, entropy_N)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's batch without the rows whose advantage is 0, where that changes no gradient."""
        output = super()._generate_and_score_completions(inputs)
        if not (self.model.training and self.zero_rows_are_idle()):
            return output
        keep = output["advantages"] != 0
        if not keep.any():
            keep[0] = True  # a batch cannot be empty; this row's gradient is 0
        rows = len(keep)
        return {
            name: value[keep]
            if isinstance(value, torch.Tensor) and value.ndim and len(value) == rows
            else value
            for name, value in output.items()
        }

    def zero_rows_are_idle(self) -> bool:
        """Nothing but advantage times ratio is in the loss, its divisor does not count rows, and the batch is not cut up."""
        return (
            self.loss_type == "dapo"
            and self.beta == 0.0
            and self.args.entropy_coef == 0.0
            and not self.args.use_adaptive_entropy
            and self.top_entropy_quantile >= 1.0
            and self.args.steps_per_generation == 1
            and self.accelerator.num_processes == 1
        )
