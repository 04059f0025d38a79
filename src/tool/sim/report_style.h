/* How a report looks. Inside tool/sim only. */
#pragma once

extern const char report_style[];
