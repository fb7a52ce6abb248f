"""What is done to graphs: one file per pass, and the one table that lists them.

The folders hold what passes share: `layers` and the scales around them, `views` of a tensor, the `layout` of
regions, `siblings` that could be one, `recognition` of written-out operators, `folding`, `inlining`, and what is known
of `values`.
"""

from __future__ import annotations

from ..compiler.graph_pass import Pass
from .absorb_channel_padding import AbsorbChannelPadding
from .analyze_concats import AnalyzeConcats
from .assemble_vectors import AssembleVectors
from .bypass_concats import BypassConcats
from .compose_layers_through_concat import ComposeLayersThroughConcat
from .compose_linear_layers import ComposeLinearLayers
from .compute_doubles_in_float import ComputeDoublesInFloat
from .compute_integers_in_float import ComputeIntegersInFloat
from .eliminate_broadcasts import EliminateBroadcasts
from .eliminate_common_subexpressions import EliminateCommonSubexpressions
from .eliminate_dead_channels import EliminateDeadChannels
from .eliminate_dead_nodes import EliminateDeadNodes
from .eliminate_default_inputs import EliminateDefaultInputs
from .eliminate_expands import EliminateExpands
from .eliminate_idempotents import EliminateIdempotents
from .eliminate_no_ops import EliminateNoOps
from .eliminate_repeated_operands import EliminateRepeatedOperands
from .eliminate_units import EliminateUnits
from .eliminate_unused_outputs import EliminateUnusedOutputs
from .eliminate_zero_bias import EliminateZeroBias
from .expand_function_bodies import ExpandFunctionBodies
from .flatten_variadic import FlattenVariadic
from .fold_arithmetic_chain import FoldArithmeticChain
from .fold_constants import FoldConstants
from .fold_dequantized_constants import FoldDequantizedConstants
from .fold_gelu_scale import FoldGeluScale
from .fold_if import FoldIf
from .fold_sequences import FoldSequences
from .fold_target_shapes import FoldTargetShapes
from .fold_view_into_weights import FoldViewIntoWeights
from .form_batch_norm import FormBatchNorm
from .form_pointwise_conv import FormPointwiseConv
from .form_scalar_scales import FormScalarScales
from .fuse_activation_chain import FuseActivationChain
from .fuse_activation_into_conv import FuseActivationIntoConv
from .fuse_added_layers import FuseAddedLayers
from .fuse_affine_into_next_layer import FuseAffineIntoNextLayer
from .fuse_batch_norm import FuseBatchNorm
from .fuse_bias_into_gemm import FuseBiasIntoGemm
from .fuse_concats import FuseConcats
from .fuse_pad import FusePad
from .fuse_pads import FusePads
from .fuse_reshapes_around_gemm import FuseReshapesAroundGemm
from .fuse_scale_shift import FuseScaleShift
from .fuse_scale_shift_into_norm import FuseScaleShiftIntoNorm
from .fuse_stacked_reductions import FuseStackedReductions
from .fuse_transpose_into_gemm import FuseTransposeIntoGemm
from .fuse_views import FuseViews
from .inline_functions import InlineFunctions
from .lift_pads import LiftPads
from .lower_ml_operators import LowerMlOperators
from .merge_constant_operands import MergeConstantOperands
from .merge_parts import MergeParts
from .merge_reductions import MergeReductions
from .merge_siblings import MergeSiblings
from .merge_slices import MergeSlices
from .move_scale_into_weights import MoveScaleIntoWeights
from .name_nodes import NameNodes
from .prepare_for_tensorrt import PrepareForTensorrt
from .prune_control_flow import PruneControlFlow
from .push_reshapes import PushReshapes
from .push_transposes import PushTransposes
from .recognize_depth_to_space import RecognizeDepthToSpace
from .recognize_dequantize_linear import RecognizeDequantizeLinear
from .recognize_einsum import RecognizeEinsum
from .recognize_gelu import RecognizeGelu
from .recognize_group_norm import RecognizeGroupNorm
from .recognize_hard_sigmoid import RecognizeHardSigmoid
from .recognize_hard_swish import RecognizeHardSwish
from .recognize_instance_norm import RecognizeInstanceNorm
from .recognize_layer_norm import RecognizeLayerNorm
from .recognize_leaky_relu import RecognizeLeakyRelu
from .recognize_log_softmax import RecognizeLogSoftmax
from .recognize_lp_normalization import RecognizeLpNormalization
from .recognize_lstm import RecognizeLstm
from .recognize_mish import RecognizeMish
from .recognize_reduction import RecognizeReduction
from .recognize_rms_norm import RecognizeRmsNorm
from .recognize_softmax import RecognizeSoftmax
from .recognize_softplus import RecognizeSoftplus
from .recognize_space_to_depth import RecognizeSpaceToDepth
from .recognize_swish import RecognizeSwish
from .reorder_space_to_depth import ReorderSpaceToDepth
from .shift_to_int8 import ShiftToInt8
from .simplify_batch_norm import SimplifyBatchNorm
from .simplify_casts import SimplifyCasts
from .simplify_logic import SimplifyLogic
from .simplify_negation import SimplifyNegation
from .simplify_powers import SimplifyPowers
from .simplify_reciprocal import SimplifyReciprocal
from .simplify_shapes import SimplifyShapes
from .simplify_where import SimplifyWhere
from .split_norm_statistics import SplitNormStatistics
from .split_quantized_layers import SplitQuantizedLayers
from .turn_columns_into_rows import TurnColumnsIntoRows
from .unroll_loop import UnrollLoop
from .widen_scalars import WidenScalars
from .widen_vector_products import WidenVectorProducts
from .write_out_dilated_pooling import WriteOutDilatedPooling
from .write_out_quantization import WriteOutQuantization

# What TensorRT's parser refuses or misreads becomes something that it reads.
_MADE_LEGAL_FOR_TENSORRT: tuple[type[Pass], ...] = (
    ExpandFunctionBodies,
    LowerMlOperators,
    ReorderSpaceToDepth,
    WriteOutDilatedPooling,
    WidenVectorProducts,
    SplitNormStatistics,
    SplitQuantizedLayers,
    ComputeIntegersInFloat,
    ComputeDoublesInFloat,
    FormScalarScales,
    ShiftToInt8,
    FoldDequantizedConstants,
    WriteOutQuantization,
)
_ALL: tuple[type[Pass], ...] = (
    EliminateDeadNodes,
    InlineFunctions,
    RecognizeLstm,
    FoldConstants,
    FoldIf,
    FoldSequences,
    PruneControlFlow,
    UnrollLoop,
    EliminateNoOps,
    FuseBatchNorm,
    EliminateUnits,
    EliminateBroadcasts,
    EliminateIdempotents,
    EliminateUnusedOutputs,
    EliminateDefaultInputs,
    SimplifyShapes,
    SimplifyCasts,
    SimplifyWhere,
    SimplifyLogic,
    EliminateRepeatedOperands,
    MergeConstantOperands,
    SimplifyReciprocal,
    SimplifyNegation,
    SimplifyPowers,
    RecognizeEinsum,
    RecognizeDequantizeLinear,
    RecognizeDepthToSpace,
    RecognizeSpaceToDepth,
    MergeReductions,
    RecognizeLayerNorm,
    RecognizeInstanceNorm,
    RecognizeGroupNorm,
    RecognizeRmsNorm,
    RecognizeSoftmax,
    RecognizeLogSoftmax,
    FuseScaleShiftIntoNorm,
    RecognizeReduction,
    RecognizeLpNormalization,
    RecognizeHardSigmoid,
    RecognizeGelu,
    RecognizeHardSwish,
    RecognizeSoftplus,
    RecognizeMish,
    RecognizeSwish,
    RecognizeLeakyRelu,
    FuseActivationChain,
    FoldArithmeticChain,
    FoldTargetShapes,
    FuseViews,
    FuseConcats,
    BypassConcats,
    MergeSlices,
    FusePads,
    EliminateExpands,
    FoldViewIntoWeights,
    AssembleVectors,
    FuseStackedReductions,
    FlattenVariadic,
    FormPointwiseConv,
    PushTransposes,
    PushReshapes,
    TurnColumnsIntoRows,
    FuseScaleShift,
    FoldGeluScale,
    FuseAffineIntoNextLayer,
    MoveScaleIntoWeights,
    LiftPads,
    FusePad,
    FuseAddedLayers,
    ComposeLayersThroughConcat,
    ComposeLinearLayers,
    SimplifyBatchNorm,
    FuseTransposeIntoGemm,
    FuseBiasIntoGemm,
    FuseReshapesAroundGemm,
    EliminateZeroBias,
    FormBatchNorm,
    EliminateCommonSubexpressions,
    EliminateDeadChannels,
    AbsorbChannelPadding,
    MergeParts,
    MergeSiblings,
    WidenScalars,
    FuseActivationIntoConv,
    *_MADE_LEGAL_FOR_TENSORRT,
    PrepareForTensorrt,
    NameNodes,
    AnalyzeConcats,
)

PASSES: dict[str, type[Pass]] = {kind.name: kind for kind in _ALL}

_LAST = frozenset({FuseActivationIntoConv, PrepareForTensorrt, NameNodes, AnalyzeConcats, *_MADE_LEGAL_FOR_TENSORRT})


def _group(*more: type[Pass]) -> str:
    """Everything that is exact for every target, after `more`, until it comes to rest."""
    kinds = [*more, *(kind for kind in _ALL if kind is not EliminateDeadNodes and kind not in _LAST)]
    return "(" + ",".join(kind.name for kind in kinds) + ")*"


def _pipeline(*stages: str) -> str:
    """Everything that is exact for every target; then the stages for one of them."""
    return ",".join([EliminateDeadNodes.name, _group(), *stages, EliminateDeadNodes.name, AnalyzeConcats.name])


PIPELINES: dict[str, str] = {
    "default": _pipeline(),
    "ort": _pipeline(FuseActivationIntoConv.name),
    "tensorrt": _pipeline(_group(*_MADE_LEGAL_FOR_TENSORRT), PrepareForTensorrt.name, NameNodes.name),
}
