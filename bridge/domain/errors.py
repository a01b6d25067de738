"""Refusals: stable codes for programs, sentences for people."""

from __future__ import annotations

_SENTENCES: dict[str, tuple[str, str]] = {
    "wrong-state": ("当前状态不能执行此操作", "not possible in the present state"),
    "no-such-call": ("没有这个通话", "no such call"),
    "no-such-leg": ("没有这一方", "no such leg"),
    "no-such-target": ("没有这个转接对象", "no such target"),
    "group-takes-no-call": (
        "电台组不能接管通话,请用三方通话",
        "a radio group cannot take a call over: bring it in by a three-way call",
    ),
    "no-such-seat": ("没有这个坐席", "no such seat"),
    "third-already-called": (
        "正在呼叫第三方,请等待或先取消",
        "a third party is already being called",
    ),
    "nobody-being-called": ("没有正在呼叫的第三方", "nobody is being called"),
    "would-leave-citizen-alone": (
        "退出后市民将无人接听;请先转接,或确认结束",
        "the citizen would be alone: transfer first, or confirm the end",
    ),
    "not-in-this-call": ("本坐席不在此通话中", "this seat is not in this call"),
    "already-in-this-call": ("本坐席已在此通话中", "this seat is in this call already"),
    "needs-confirmation": ("此操作需要确认", "this needs confirm=true"),
    "call-is-ending": ("通话正在结束", "the call is ending"),
    "call-is-over": ("通话已结束", "the call is over"),
    "no-seat-to-listen-to": ("没有可监听的坐席", "no seat to listen to"),
    "not-your-seat": ("不是您的坐席", "not your seat"),
    "seat-busy": ("坐席正在通话", "the seat is in a call"),
    "not-logged-on": ("坐席未签入", "the seat is not logged on"),
    "already-logged-on": ("坐席已签入", "the seat is logged on already"),
    "not-allowed": ("无此权限", "not allowed for this role"),
    "no-such-case": ("没有这个求助件", "no such case"),
    "no-such-unit": ("没有这个联动单位", "no such unit"),
    "no-such-order": ("没有这条指令", "no such order"),
    "no-such-attempt": ("没有这次发送", "no such attempt"),
    "support-type-missing": (
        "请写明保障类别:SUP.02 宣传、SUP.07 保障、SUP.08 安置、SUP.09 咨询",
        "say which support: SUP.02 publicity, SUP.07 logistics, SUP.08 resettlement, SUP.09 advice",
    ),
    "no-such-paper": ("没有这份文书", "no such paper"),
    "no-such-handoff": ("没有这次移交", "no such handoff"),
    "not-overdue": (
        "此指令没有超过时限;如仍需督办,请写明应办结时间",
        "no limit of this order has run out: say by when it was due",
    ),
    "no-such-attachment": ("没有这个附件", "no such attachment"),
    "attachment-missing": (
        "附件文件缺失或已损坏,请告知管理员",
        "the attachment's file is gone or damaged: tell the administrator",
    ),
    "attachment-kind": (
        "附件只收照片(JPEG、PNG、WebP)和 PDF",
        "only pictures (JPEG, PNG, WebP) and PDF are taken",
    ),
    "attachment-needs-report": (
        "附件请随到场、进展、结果或承诺提交",
        "send files with an arrival, progress, result or promise",
    ),
    "too-many-attachments": ("此求助件的附件已达上限", "this case has as many files as it may"),
    "no-such-report": ("没有这条反馈", "no such report"),
    "no-such-channel": ("没有这个通道", "no such channel"),
    "reason-missing": ("请写明原因", "say why"),
    "plan-missing": ("请写明专项预案名称", "name the special plan"),
    "plan-runs": ("专项预案已启动", "a special plan runs already"),
    "no-plan": ("没有启动专项预案", "no special plan runs"),
    "not-yet": ("时间不能晚于现在", "that time has not come yet"),
    "not-accepted-yet": (
        "请先签收,并记录已采取的措施,再移交",
        "sign for the order and report a measure first, then pass it on",
    ),
    "no-measure": (
        "请先报告已采取的措施(到场、进展或结果),再移交",
        "report a measure first: arrival, progress or result",
    ),
    "same-unit": ("不能移交给本单位", "a unit cannot pass an order on to itself"),
    "already-passed-on": ("已请求移交", "this order was passed on already"),
    "not-for-diversion": (
        "公安、消防、医疗类警情不得分流",
        "police, fire and medical matters are not diverted",
    ),
    "name-missing": ("请写明签收人", "name the person who signed"),
    "no-dispute": ("此指令没有未决争议", "there is no open dispute about this order"),
    "nothing-to-say": ("请写明指令内容", "an order needs words"),
    "not-your-unit": ("不是您的单位的指令", "this order is another unit's"),
    "order-cancelled": (
        "指令已由中心取消,无需处置",
        "the centre has cancelled this order: nothing is to be done",
    ),
    "case-with-other-desk": (
        "此件已由其他平台受理,由其办理",
        "another desk has accepted this case and gives the orders",
    ),
    "already-answered": ("此请求已处理", "this request was answered before"),
    "wrong-code": ("办结码不正确", "the code is not right"),
    "way-closed": (
        "多次输入错误,此通道已关闭一小时,请用其他方式",
        "too many wrong tries: this way is closed for an hour, use another",
    ),
    "store-cannot-write": (
        "无法存储,操作未执行;通话不受影响",
        "cannot be stored, so it was not done; calls go on",
    ),
    "outcome-unknown": (
        "结果不明,请先查看通话状态,不要重复",
        "outcome unknown: look at the call before asking again",
    ),
    "switch-down": ("与交换机失去联系", "the switch cannot be reached"),
    "switch-refused": ("交换机拒绝", "the switch refused"),
}


class Refused(Exception):
    """A request that was not carried out. `possible`: services that would be possible now."""

    def __init__(self, code: str, state: str = "", possible: tuple[str, ...] = ()) -> None:
        super().__init__(f"{code} in state {state!r}" if state else code)
        self.code = code
        self.state = state
        self.possible = possible

    @property
    def title(self) -> str:
        """Sentence for the operator, Chinese."""
        return _SENTENCES.get(self.code, (self.code, self.code))[0]

    @property
    def detail(self) -> str:
        """The same in English."""
        return _SENTENCES.get(self.code, (self.code, self.code))[1]
